//! What a run brought.

use crate::{
    diagnostics::{Code, Diagnostic, Error, ErrorKind, Location, Result},
    plugin::{ComponentResult, ComponentStatus},
};
use serde_json::{Value as Json, json};
use std::{fmt, time::Duration};

/// Where a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepState {
    /// Has not begun.
    #[default]
    Pending,
    /// Runs.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended by an error.
    Failed,
    /// Was ended before it was done.
    Cancelled,
    /// Did not begin, and will not.
    Skipped,
}

impl StepState {
    /// The state in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            StepState::Pending => "pending",
            StepState::Running => "running",
            StepState::Succeeded => "succeeded",
            StepState::Failed => "failed",
            StepState::Cancelled => "cancelled",
            StepState::Skipped => "skipped",
        }
    }
}

/// How a step ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepResult {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub state: StepState,
    /// What it delivered; empty unless it succeeded.
    pub result: ComponentResult,
    /// How often it was tried; 0 when it did not begin.
    pub attempts: u32,
    /// How long it took, all attempts and pauses together.
    pub duration: Duration,
    /// Whether it was finished by an earlier run that this one continued.
    pub restored: bool,
    /// Why it failed, was cancelled or skipped.
    pub error: Option<String>,
    /// What a caller can do about a failure.
    pub error_kind: Option<ErrorKind>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) path: String,
    pub(super) location: Option<Location>,
}

/// How a run ended: [`Success`](ComponentStatus::Success) only if every step succeeded.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "the pipeline may have failed: look at `status`, or use `require_success()`"]
pub struct PipelineResult {
    /// The pipeline's name.
    pub pipeline: String,
    /// The run's id.
    pub run_id: String,
    /// How it ended.
    pub status: ComponentStatus,
    /// How long it took.
    pub duration: Duration,
    /// Its steps, in the order of the pipeline.
    pub steps: Vec<StepResult>,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// What a caller can do about it.
    pub error_kind: Option<ErrorKind>,
}

impl PipelineResult {
    /// The result of a run, without its steps.
    pub fn new(pipeline: impl Into<String>, run_id: impl Into<String>, status: ComponentStatus) -> Self {
        PipelineResult {
            pipeline: pipeline.into(),
            run_id: run_id.into(),
            status,
            duration: Duration::ZERO,
            steps: Vec::new(),
            error: None,
            error_kind: None,
        }
    }

    /// A step by name.
    pub fn step(&self, name: &str) -> Option<&StepResult> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// Whether every step succeeded.
    pub fn is_success(&self) -> bool {
        self.status == ComponentStatus::Success
    }

    /// The result, if the run succeeded: `platform.run(&pipeline).await?.into_result()?`.
    ///
    /// # Errors
    /// As [`require_success`](PipelineResult::require_success).
    pub fn into_result(self) -> Result<PipelineResult> {
        self.require_success().map(|()| self)
    }

    /// Makes an error of a run that did not succeed, for a caller who needs nothing else of it.
    ///
    /// # Errors
    /// Of the kind of the first step that failed, with a finding for every step that did;
    /// [`Cancelled`](ErrorKind::Cancelled) or [`Timeout`](ErrorKind::Timeout) when the whole was ended.
    pub fn require_success(&self) -> Result<()> {
        if self.is_success() {
            return Ok(());
        }
        let failed = self.steps.iter().filter(|step| step.state == StepState::Failed);
        let mut found = Vec::new();
        for step in failed {
            let why = step.error.as_deref().unwrap_or("no reason was given");
            found.push(
                Diagnostic::error(Code::StepFailed, format!("the step `{}` failed: {why}", step.name))
                    .at(step.location.as_ref())
                    .in_path(&step.path),
            );
            found.extend(step.diagnostics.iter().cloned());
        }
        let how = match self.status {
            ComponentStatus::Cancelled => "was cancelled",
            _ => "failed",
        };
        let kind = self.error_kind.unwrap_or(ErrorKind::Failed);
        let mut message = format!("the pipeline `{}` {how}", self.pipeline);
        if let (Some(error), true) = (&self.error, found.is_empty()) {
            message.push_str(&format!(": {error}"));
        }
        Err(Error::new(kind, message).with_diagnostics(found))
    }

    /// The result as JSON; durations are in seconds.
    pub fn to_json(&self) -> Json {
        let steps: Vec<Json> = self.steps.iter().map(StepResult::to_json).collect();
        json!({
            "pipeline": self.pipeline,
            "run": self.run_id,
            "status": self.status.as_str(),
            "duration": self.duration.as_secs_f64(),
            "error": self.error,
            "steps": steps,
        })
    }
}

impl StepResult {
    /// A step in this state.
    pub fn new(name: impl Into<String>, state: StepState) -> Self {
        StepResult {
            name: name.into(),
            state,
            result: ComponentResult::default(),
            attempts: 0,
            duration: Duration::ZERO,
            restored: false,
            error: None,
            error_kind: None,
            diagnostics: Vec::new(),
            path: String::new(),
            location: None,
        }
    }

    /// The result as JSON; the duration is in seconds.
    pub fn to_json(&self) -> Json {
        json!({
            "step": self.name,
            "state": self.state.as_str(),
            "attempts": self.attempts,
            "duration": self.duration.as_secs_f64(),
            "restored": self.restored,
            "error": self.error,
            "delivered": delivered(&self.result),
        })
    }
}

/// What a step delivered, as `${steps.NAME}` sees it.
pub(super) fn delivered(result: &ComponentResult) -> Json {
    let artifacts = result.artifacts.iter().map(|(name, path)| (name.clone(), path.to_string_lossy().into()));
    json!({
        "outputs": result.outputs,
        "metrics": result.metrics,
        "artifacts": Json::Object(artifacts.collect()),
    })
}

/// A line for the run, and one for each step.
impl fmt::Display for PipelineResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pipeline, self.status.as_str())?;
        let width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
        for step in &self.steps {
            write!(f, "\n  {:width$}  {}", step.name, step.state.as_str())?;
            if step.restored {
                write!(f, " before")?;
            } else if step.attempts > 1 {
                write!(f, " in {} attempts", step.attempts)?;
            }
            if let Some(error) = &step.error {
                write!(f, ": {error}")?;
            }
        }
        Ok(())
    }
}
