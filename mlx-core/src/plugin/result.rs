//! What an execution of a plugin brought.

use super::data::Data;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Where an execution stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ComponentStatus {
    /// Not begun.
    #[default]
    Pending,
    /// Under way.
    Running,
    /// Done.
    Success,
    /// Ended by an error.
    Failed,
    /// Ended on request.
    Cancelled,
}

impl ComponentStatus {
    /// The status in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            ComponentStatus::Pending => "pending",
            ComponentStatus::Running => "running",
            ComponentStatus::Success => "success",
            ComponentStatus::Failed => "failed",
            ComponentStatus::Cancelled => "cancelled",
        }
    }
}

/// The result of [`Plugin::execute`](super::Plugin::execute).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ComponentResult {
    /// How it ended.
    pub status: ComponentStatus,
    /// How long it took; set by the platform.
    pub duration: Duration,
    /// Named results.
    pub outputs: BTreeMap<String, Value>,
    /// Files that were written.
    pub artifacts: BTreeMap<String, PathBuf>,
    /// Named measurements.
    pub metrics: BTreeMap<String, f64>,
    /// Why it failed.
    pub error: Option<String>,
    pub(super) data: Data,
}

impl ComponentResult {
    /// A successful result to add to.
    pub fn success() -> Self {
        ComponentResult { status: ComponentStatus::Success, ..Default::default() }
    }

    /// A failed result.
    pub fn failed(error: impl Into<String>) -> Self {
        ComponentResult { status: ComponentStatus::Failed, error: Some(error.into()), ..Default::default() }
    }

    /// Adds a named result.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.outputs.insert(name.into(), value.into());
        self
    }

    /// Adds a file that was written.
    #[must_use]
    pub fn artifact(mut self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.artifacts.insert(name.into(), path.into());
        self
    }

    /// Adds a measurement.
    #[must_use]
    pub fn metric(mut self, name: impl Into<String>, value: f64) -> Self {
        self.metrics.insert(name.into(), value);
        self
    }

    /// Adds typed data, one value a type: a [`DataFrame`](crate::DataFrame), say. It stays in this process; JSON and
    /// records do not have it.
    #[must_use]
    pub fn with_data<T: Send + Sync + 'static>(mut self, data: T) -> Self {
        self.data.insert(data);
        self
    }

    /// The typed data of this type.
    pub fn data<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.data.get()
    }

    /// Whether there is typed data of any type.
    pub fn has_data(&self) -> bool {
        !self.data.is_empty()
    }

    /// Whether it ended well.
    pub fn is_success(&self) -> bool {
        self.status == ComponentStatus::Success
    }

    /// The result as JSON; the duration is in seconds.
    pub fn to_json(&self) -> Value {
        json!({
            "status": self.status.as_str(),
            "duration": self.duration.as_secs_f64(),
            "outputs": self.outputs,
            "artifacts": self.artifacts.iter()
                .map(|(name, path)| (name.clone(), path.to_string_lossy().into()))
                .collect::<serde_json::Map<String, Value>>(),
            "metrics": self.metrics,
            "error": self.error,
        })
    }
}
