//! `workflow_engine`: systems that run pipelines.

use crate::{
    async_trait, contract,
    diagnostics::Result,
    pipeline::{Pipeline, PipelineResult, StepState},
    plugin::ComponentStatus,
};
use std::{collections::BTreeMap, time::Duration};

/// Runs pipelines on its own, and keeps their results until they are fetched.
#[contract(
    name = "workflow_engine",
    cardinality = "one",
    capabilities = ["retries", "deadlines", "functions", "typed_data", "records", "schedules"]
)]
#[async_trait]
pub trait WorkflowEngine {
    /// Accepts a pipeline and returns the id of its run; it runs on its own.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with everything that is wrong with the pipeline,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a step that the engine has no way to run,
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when no more runs are accepted for now.
    async fn submit(&self, request: WorkflowRequest) -> Result<String>;

    /// Where a run stands.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown id.
    #[idempotent]
    async fn status(&self, run: &str) -> Result<WorkflowRun>;

    /// Waits until a run has ended, and returns its result, whose status says how.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown id; else what kept the engine from running it at all.
    #[idempotent]
    async fn result(&self, run: &str) -> Result<PipelineResult>;

    /// Ends a run early. Cancelling one that has ended changes nothing.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown id.
    #[idempotent]
    async fn cancel(&self, run: &str) -> Result<()>;

    /// All known runs, the newest first.
    ///
    /// # Errors
    /// What the engine reports.
    #[idempotent]
    async fn runs(&self) -> Result<Vec<WorkflowRun>>;
}

/// A pipeline to run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkflowRequest {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// What the run is given: an object, whose keys replace those of the pipeline's own input.
    pub input: serde_json::Value,
}

impl WorkflowRequest {
    /// Run this pipeline.
    pub fn new(pipeline: Pipeline) -> Self {
        WorkflowRequest { pipeline, input: serde_json::Value::Null }
    }

    /// Sets what the run is given.
    #[must_use]
    pub fn input(mut self, input: impl Into<serde_json::Value>) -> Self {
        self.input = input.into();
        self
    }
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WorkflowRun {
    /// The run's id.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Its status; pending while it waits for its turn.
    pub status: ComponentStatus,
    /// How long it has run, or ran.
    pub duration: Duration,
    /// The state of each step by name.
    pub steps: BTreeMap<String, StepState>,
    /// Why it did not succeed.
    pub error: Option<String>,
}

impl WorkflowRun {
    /// The status of a run.
    pub fn new(id: impl Into<String>, pipeline: impl Into<String>, status: ComponentStatus) -> Self {
        WorkflowRun {
            id: id.into(),
            pipeline: pipeline.into(),
            status,
            duration: Duration::ZERO,
            steps: BTreeMap::new(),
            error: None,
        }
    }
}
