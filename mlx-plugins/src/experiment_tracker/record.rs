//! What the trackers that keep records themselves agree on: words, checks and messages.

use mlx_core::prelude::*;

/// The states of a run in the words in which they are stored.
const STATUSES: [(RunStatus, &str); 4] = [
    (RunStatus::Running, "running"),
    (RunStatus::Finished, "finished"),
    (RunStatus::Failed, "failed"),
    (RunStatus::Cancelled, "cancelled"),
];

pub(super) fn status_word(status: RunStatus) -> &'static str {
    STATUSES.iter().find(|(known, _)| *known == status).map_or("running", |(_, word)| word)
}

/// # Errors
/// [`Failed`](ErrorKind::Failed) for a word that is none: the record is damaged.
pub(super) fn status(word: &str) -> Result<RunStatus> {
    STATUSES
        .iter()
        .find(|(_, known)| *known == word)
        .map(|(status, _)| *status)
        .ok_or_else(|| Error::failed(format!("`{word}` is not the status of a run")))
}

/// Checks a run that is to begin.
pub(super) fn check_new(run: &NewRun) -> Result<()> {
    check_name("an experiment", &run.experiment)?;
    check_names("a tag", run.tags.keys())
}

/// Checks the state that a run is to end in.
pub(super) fn check_end(status: RunStatus) -> Result<()> {
    match status {
        RunStatus::Running => Err(Error::invalid("a run ends as finished, failed or cancelled, not as running")),
        RunStatus::Finished | RunStatus::Failed | RunStatus::Cancelled => Ok(()),
    }
}

/// Checks that no name is empty. Any other text is a name: names never become part of a path.
pub(super) fn check_names<'a>(what: &str, names: impl IntoIterator<Item = &'a String>) -> Result<()> {
    names.into_iter().try_for_each(|name| check_name(what, name))
}

/// Checks a dataset that is to be recorded.
pub(super) fn check_dataset(dataset: &Dataset) -> Result<()> {
    check_name("a dataset", &dataset.name)?;
    match dataset.digest.as_str() {
        "" => Err(Error::invalid(format!("the dataset {:?} has no digest to tell its states apart", dataset.name))),
        _ => Ok(()),
    }
}

fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() { Err(Error::invalid(format!("the name of {what} is empty"))) } else { Ok(()) }
}

pub(super) fn unknown_run(run: &str) -> Error {
    Error::not_found(format!("there is no run {run:?}"))
}

pub(super) fn unknown_experiment(experiment: &str) -> Error {
    Error::not_found(format!("there is no experiment {experiment:?}"))
}

pub(super) fn changed_parameter(run: &str, name: &str, old: &str, new: &str) -> Error {
    Error::invalid(format!(
        "the parameter {name:?} of the run {run} is {old:?} already and cannot become {new:?}: \
         a parameter is recorded once; record it under another name, or begin another run"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_word() {
        for (known, word) in STATUSES {
            assert_eq!(status_word(known), word);
            assert_eq!(status(word).unwrap(), known);
        }
        assert_eq!(status("done").unwrap_err().kind(), ErrorKind::Failed);
    }
}
