//! What of an earlier run still holds.

use super::{
    Pipeline,
    check::{Checked, unknown},
    record::{Finished, History, Identity},
    result::delivered,
    run::{identity, resolve_input},
};
use crate::diagnostics::{Code, Diagnostic, Location};
use serde_json::Value as Json;

const HELP: &str = "undo the change, or begin a new record";

/// Every change of what a finished step's result depends on.
pub(super) fn changes(pipeline: &Pipeline, checked: &Checked, history: &History, input: &Json) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some((name, _)) = history.begun.as_ref().filter(|(name, _)| *name != pipeline.name) {
        let message = format!("the record is of the pipeline `{name}`, not of `{}`", pipeline.name);
        return vec![Diagnostic::error(Code::RecordMismatch, message).in_path("name").help("resume another record")];
    }
    for (name, finished) in &history.finished {
        if !checked.by_name.contains_key(name) {
            let message = format!("the record has the finished step `{name}`, which the pipeline has no more");
            let known = pipeline.steps.iter().map(|step| step.name());
            found.push(unknown(Code::RecordMismatch, message, name, known).at(&finished.location).help(HELP));
        }
    }
    let recorded: Vec<Option<Json>> = pipeline
        .steps
        .iter()
        .map(|step| history.finished.get(step.name()).map(|finished| delivered(&finished.result)))
        .collect();
    for position in &checked.order {
        let step = &pipeline.steps[*position];
        let Some(finished) = history.finished.get(step.name()) else { continue };
        let look_up = |name: &str| checked.by_name.get(name).and_then(|position| recorded[*position].as_ref());
        // Without what it waited for nothing can be said before the run.
        let Ok(input) = resolve_input(step, input, &look_up) else { continue };
        let now = identity(pipeline, checked, *position, &input);
        found.extend(differences(&finished.identity, &now).into_iter().map(|(message, key)| {
            let at: Option<&Location> = match key {
                "input" => step.input.location.as_ref(),
                _ => None,
            };
            Diagnostic::error(Code::RecordMismatch, format!("the step `{}` is finished, and {message}", step.name()))
                .at(at.or(step.location.as_ref()))
                .in_path(format!("{}.{key}", step.path))
                .related("it was recorded here", &finished.location)
                .help(HELP)
        }));
    }
    found
}

fn differences(before: &Identity, now: &Identity) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let work = |plugin: &str| match plugin {
        "" => "a function".to_owned(),
        plugin => format!("`{plugin}`"),
    };
    if before.plugin != now.plugin {
        found.push((format!("was {}; now it is {}", work(&before.plugin), work(&now.plugin)), "plugin"));
    }
    if before.input != now.input {
        found.push(("its input is another now".to_owned(), "input"));
    }
    if before.data != now.data {
        found.push(("it takes the data of other steps now".to_owned(), "data"));
    }
    found
}

/// Which steps have to run, finished or not: a step whose typed data is needed by one that may run has to deliver it
/// again.
pub(super) fn must_run(pipeline: &Pipeline, checked: &Checked, history: &History) -> Vec<bool> {
    let finished: Vec<Option<&Finished>> =
        pipeline.steps.iter().map(|step| history.finished.get(step.name()).filter(|step| step.is_whole())).collect();
    let mut must: Vec<bool> = finished.iter().map(Option::is_none).collect();
    loop {
        // Whatever follows a step that runs may have to, because its input may come out differently.
        let mut may = must.clone();
        for position in &checked.order {
            may[*position] |= checked.requires[*position].iter().any(|before| may[*before]);
        }
        let needed = (0..must.len()).filter(|position| may[*position]).flat_map(|position| &checked.data[position]);
        let again: Vec<usize> = needed
            .copied()
            .filter(|position| !must[*position] && finished[*position].is_some_and(|step| step.typed_data))
            .collect();
        if again.is_empty() {
            return must;
        }
        again.into_iter().for_each(|position| must[position] = true);
    }
}
