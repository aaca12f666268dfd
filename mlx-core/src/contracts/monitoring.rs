//! `monitoring`: measurements of a running system.

use crate::{async_trait, contract, diagnostics::Result};
use std::collections::BTreeMap;

/// Takes measurements of the running system and offers them to those who watch it.
#[contract(name = "monitoring", cardinality = "many", capabilities = ["metrics", "tracing", "logging", "alerting", "http"])]
#[async_trait]
pub trait Monitoring {
    /// Takes measurements.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that the format does not allow, or one used before for
    /// another kind of measurement.
    async fn record(&self, measurements: Vec<Measurement>) -> Result<()>;

    /// Everything measured so far, in the plugin's own text format.
    ///
    /// # Errors
    /// What the plugin reports.
    #[idempotent]
    async fn export(&self) -> Result<String>;
}

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measurement {
    /// The name: letters, digits and `_`, with the unit at its end (`request_duration_seconds`).
    pub name: String,
    /// What the value means.
    pub kind: MeasurementKind,
    /// The value.
    pub value: f64,
    /// What it was measured on.
    pub labels: BTreeMap<String, String>,
    /// What the name means, for people.
    pub help: String,
}

/// What the value of a [`Measurement`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeasurementKind {
    /// Add the value to a total that only grows.
    Counter,
    /// Replace the last value.
    Gauge,
    /// Count the value in a distribution.
    Histogram,
}

impl Measurement {
    fn new(name: impl Into<String>, kind: MeasurementKind, value: f64) -> Self {
        Measurement { name: name.into(), kind, value, labels: BTreeMap::new(), help: String::new() }
    }

    /// Add `value` to a total.
    pub fn counter(name: impl Into<String>, value: f64) -> Self {
        Measurement::new(name, MeasurementKind::Counter, value)
    }

    /// The current value.
    pub fn gauge(name: impl Into<String>, value: f64) -> Self {
        Measurement::new(name, MeasurementKind::Gauge, value)
    }

    /// One value of a distribution.
    pub fn histogram(name: impl Into<String>, value: f64) -> Self {
        Measurement::new(name, MeasurementKind::Histogram, value)
    }

    /// Adds what it was measured on.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Says what the name means.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = text.into();
        self
    }
}
