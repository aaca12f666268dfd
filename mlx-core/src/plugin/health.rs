//! How a running plugin is.

use std::collections::BTreeMap;

/// How well a plugin works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthStatus {
    /// It does what it should.
    #[default]
    Healthy,
    /// It works with losses, and may recover by itself.
    Degraded,
    /// It does not work.
    Unhealthy,
}

impl HealthStatus {
    /// The status in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            HealthStatus::Healthy => "healthy",
            HealthStatus::Degraded => "degraded",
            HealthStatus::Unhealthy => "unhealthy",
        }
    }
}

/// The answer of [`Plugin::health`](super::Plugin::health).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// How well it works.
    pub status: HealthStatus,
    /// Why, when it is not healthy.
    pub message: String,
    /// What else it says: versions, counts, addresses.
    pub details: BTreeMap<String, serde_json::Value>,
}

impl Health {
    /// It does what it should.
    pub fn healthy() -> Self {
        Health::default()
    }

    /// It works with losses.
    pub fn degraded(why: impl Into<String>) -> Self {
        Health { status: HealthStatus::Degraded, message: why.into(), ..Default::default() }
    }

    /// It does not work.
    pub fn unhealthy(why: impl Into<String>) -> Self {
        Health { status: HealthStatus::Unhealthy, message: why.into(), ..Default::default() }
    }

    /// Adds a detail.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// Whether it is healthy.
    pub fn is_healthy(&self) -> bool {
        self.status == HealthStatus::Healthy
    }
}
