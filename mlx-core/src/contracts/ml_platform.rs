//! `ml_platform`: systems that run training jobs.

use super::{TrainedModel, TrainingRequest};
use crate::{async_trait, contract, diagnostics::Result};
use std::time::Duration;

/// A system that runs training jobs and keeps their results until they are fetched.
#[contract(
    name = "ml_platform",
    cardinality = "one",
    capabilities = ["data_processing", "ml_training", "model_serving", "workflow_orchestration", "notebooks"]
)]
#[async_trait]
pub trait MlPlatform {
    /// Accepts a job and returns its id; the job runs on its own.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when no more jobs are accepted for now.
    async fn submit(&self, job: TrainingJob) -> Result<String>;

    /// Where a job stands.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown id.
    #[idempotent]
    async fn status(&self, job: &str) -> Result<JobStatus>;

    /// Waits until a job has ended, and returns its model.
    ///
    /// # Errors
    /// What made the job fail; [`Cancelled`](crate::ErrorKind::Cancelled) when it was cancelled.
    #[idempotent]
    async fn result(&self, job: &str) -> Result<TrainedModel>;

    /// Ends a job early. Cancelling one that has ended changes nothing.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown id.
    #[idempotent]
    async fn cancel(&self, job: &str) -> Result<()>;

    /// All known jobs, the newest first.
    ///
    /// # Errors
    /// What the platform reports.
    #[idempotent]
    async fn jobs(&self) -> Result<Vec<JobStatus>>;
}

/// A training to run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrainingJob {
    /// A name for people.
    pub name: String,
    /// The trainer to use, by id or name; the default one when `None`.
    pub trainer: Option<String>,
    /// What to train.
    pub request: TrainingRequest,
}

impl TrainingJob {
    /// A job for the default trainer.
    pub fn new(name: impl Into<String>, request: TrainingRequest) -> Self {
        TrainingJob { name: name.into(), trainer: None, request }
    }

    /// Chooses the trainer.
    #[must_use]
    pub fn trainer(mut self, name: impl Into<String>) -> Self {
        self.trainer = Some(name.into());
        self
    }
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JobStatus {
    /// The job's id.
    pub id: String,
    /// The job's name.
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// How long it has run, or ran.
    pub duration: Duration,
    /// Why it failed.
    pub error: Option<String>,
}

impl JobStatus {
    /// The state of a job.
    pub fn new(id: impl Into<String>, name: impl Into<String>, state: JobState) -> Self {
        JobStatus { id: id.into(), name: name.into(), state, duration: Duration::ZERO, error: None }
    }
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waits for its turn.
    Queued,
    /// Runs.
    Running,
    /// Ended with a model.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ended on request.
    Cancelled,
}

impl JobState {
    /// Whether nothing will change any more.
    pub const fn is_final(self) -> bool {
        matches!(self, JobState::Succeeded | JobState::Failed | JobState::Cancelled)
    }
}
