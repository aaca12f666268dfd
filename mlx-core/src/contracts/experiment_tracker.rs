//! `experiment_tracker`: records of experiments.

use super::RunSearch;
use crate::{
    async_trait, contract,
    diagnostics::{Error, Result},
};
use std::{collections::BTreeMap, time::SystemTime};

/// Records runs of experiments: what was tried, with which parameters, and what came out.
#[contract(
    name = "experiment_tracker",
    cardinality = "one",
    capabilities = ["parameters", "metrics", "tags", "artifacts", "datasets", "search"]
)]
#[async_trait]
pub trait ExperimentTracker {
    /// Begins a run, and makes its experiment if there is none of the name.
    ///
    /// # Errors
    /// What the tracker reports.
    async fn start_run(&self, run: NewRun) -> Result<Run>;

    /// Records parameters. A parameter is recorded once: another value for it is refused.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown run, [`Invalid`](crate::ErrorKind::Invalid) for a
    /// changed parameter.
    #[idempotent]
    async fn log_params(&self, run: &str, parameters: BTreeMap<String, String>) -> Result<()>;

    /// Records measurements. All of them are kept, also several of one name.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown run.
    async fn log_metrics(&self, run: &str, metrics: Vec<Metric>) -> Result<()>;

    /// Sets tags, replacing those of the same name.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown run.
    #[idempotent]
    async fn set_tags(&self, run: &str, tags: BTreeMap<String, String>) -> Result<()>;

    /// Stores a file under a relative path with `/` between its parts.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown run, [`Invalid`](crate::ErrorKind::Invalid) for a
    /// path that leaves the run.
    #[idempotent]
    async fn log_artifact(&self, run: &str, path: &str, contents: Vec<u8>) -> Result<()>;

    /// The contents of a stored file.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown run or file.
    #[idempotent]
    async fn artifact(&self, run: &str, path: &str) -> Result<Vec<u8>>;

    /// Ends a run. Everything recorded before is kept when this returns.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown run.
    #[idempotent]
    async fn end_run(&self, run: &str, status: RunStatus) -> Result<()>;

    /// Everything recorded of a run; of each metric the last value.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown run.
    #[idempotent]
    async fn run(&self, run: &str) -> Result<Run>;

    /// The runs of an experiment, the newest first.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown experiment.
    #[idempotent]
    async fn runs(&self, experiment: &str) -> Result<Vec<Run>>;

    /// All values of a metric, in the order they were recorded.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown run.
    #[idempotent]
    async fn metric_history(&self, run: &str, name: &str) -> Result<Vec<Metric>>;

    /// Records which data a run used. Recording a dataset again, under the same name and digest, changes nothing.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown run, [`Unsupported`](crate::ErrorKind::Unsupported) by
    /// a tracker without the capability `datasets`.
    #[idempotent]
    async fn log_dataset(&self, run: &str, dataset: Dataset) -> Result<()> {
        Err(Error::unsupported(format!(
            "the tracker records no datasets: {:?} of the run {run} was not recorded",
            dataset.name
        )))
    }

    /// The runs that a search finds, in its order. A tracker that does not search itself reads all runs of the
    /// experiments.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown experiment.
    #[idempotent]
    async fn search_runs(&self, search: RunSearch) -> Result<Vec<Run>> {
        let mut found = Vec::new();
        for (index, experiment) in search.experiments.iter().enumerate() {
            if !search.experiments[..index].contains(experiment) {
                found.extend(self.runs(experiment).await?);
            }
        }
        Ok(search.select(found))
    }
}

/// A run to begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewRun {
    /// The experiment.
    pub experiment: String,
    /// A name for people.
    pub name: String,
    /// Notes.
    pub tags: BTreeMap<String, String>,
}

impl NewRun {
    /// A run of an experiment.
    pub fn new(experiment: impl Into<String>, name: impl Into<String>) -> Self {
        NewRun { experiment: experiment.into(), name: name.into(), tags: BTreeMap::new() }
    }

    /// Adds a note.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }
}

/// Data that a run used: which, not the data itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Dataset {
    /// A name for people.
    pub name: String,
    /// What tells two states of the data apart, such as a checksum.
    pub digest: String,
    /// Where it comes from: an address, a path, a query. No credentials.
    pub source: String,
    /// What it was used for, such as `training`; empty when it was not said.
    pub context: String,
}

impl Dataset {
    /// A dataset in a state.
    pub fn new(name: impl Into<String>, digest: impl Into<String>) -> Self {
        Dataset { name: name.into(), digest: digest.into(), source: String::new(), context: String::new() }
    }

    /// Sets where it comes from.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Sets what it was used for.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = context.into();
        self
    }
}

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Its value; NaN and infinities are kept.
    pub value: f64,
    /// The step of the training it belongs to; 0 when there are no steps.
    pub step: i64,
    /// When it was taken.
    pub time: SystemTime,
}

impl Metric {
    /// A measurement taken now.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Metric { name: name.into(), value, step: 0, time: SystemTime::now() }
    }

    /// Sets the step.
    #[must_use]
    pub fn step(mut self, step: i64) -> Self {
        self.step = step;
        self
    }
}

/// The state of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// Under way.
    #[default]
    Running,
    /// Ended well.
    Finished,
    /// Ended by an error.
    Failed,
    /// Ended on request.
    Cancelled,
}

/// What was recorded of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// The run's id.
    pub id: String,
    /// The experiment.
    pub experiment: String,
    /// The name for people.
    pub name: String,
    /// Its state.
    pub status: RunStatus,
    /// When it began.
    pub started: SystemTime,
    /// When it ended.
    pub ended: Option<SystemTime>,
    /// The parameters.
    pub parameters: BTreeMap<String, String>,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, f64>,
    /// The notes.
    pub tags: BTreeMap<String, String>,
    /// The data it used, by name and digest.
    pub datasets: Vec<Dataset>,
    /// The paths of the stored files, sorted.
    pub artifacts: Vec<String>,
    /// Where a person can look at it: an address or a path.
    pub location: String,
}

impl Run {
    /// A run that has just begun.
    pub fn new(id: impl Into<String>, run: NewRun, started: SystemTime) -> Self {
        Run {
            id: id.into(),
            experiment: run.experiment,
            name: run.name,
            status: RunStatus::Running,
            started,
            ended: None,
            parameters: BTreeMap::new(),
            metrics: BTreeMap::new(),
            tags: run.tags,
            datasets: Vec::new(),
            artifacts: Vec::new(),
            location: String::new(),
        }
    }
}
