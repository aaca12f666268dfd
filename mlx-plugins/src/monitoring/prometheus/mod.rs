//! Measurements in the text format that Prometheus scrapes.
//!
//! ```yaml
//! plugins:
//!   - type: monitoring
//!     name: prometheus
//!     config:
//!       prefix: shop_
//!       buckets: [0.01, 0.1, 1, 10]
//! ```
//!
//! The `http` serving platform offers the text at `/metrics`; any program can ask [`Monitoring::export`] for it.
//!
//! The format is version 0.0.4 of Prometheus' [text exposition format][format]. Names and labels are sorted, so two
//! exports differ only where values do. A batch is taken as a whole or, when one of its measurements is wrong, not
//! at all.
//!
//! Memory is bounded by `max_series`: a measurement that would begin a series beyond it is dropped and counted in
//! `<prefix>dropped_series_total`. `record` still succeeds then, because measuring must not break what is measured.
//!
//! It keeps numbers since its own start and nothing else: no history, no push gateway, no alerts. Names are taken as
//! they are; `_total` at the end of a counter's name is up to who records it.
//!
//! [format]: https://prometheus.io/docs/instrumenting/exposition_formats/

mod exposition;
mod series;
#[cfg(test)]
mod tests;

use mlx_core::prelude::*;
use series::Store;
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Settings of the measurements.
#[derive(PluginConfig)]
pub struct PrometheusConfig {
    /// Put in front of every name.
    #[config(default = "mlx_")]
    pub prefix: String,
    /// Upper ends of the buckets of histograms, rising. One for everything above the last is added.
    #[config(default = vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0], length(1..=200))]
    pub buckets: Vec<f64>,
    /// Lines that an export has at most, each a name with its own labels. A histogram has one for each bucket, and
    /// three more.
    #[config(default = 10_000, range(1..=10_000_000))]
    pub max_series: usize,
}

/// Measurements in the text format that Prometheus scrapes.
#[mlx_plugin(
    type = "monitoring",
    name = "prometheus",
    capabilities = ["metrics"],
    integration_points = ["serving_platform"],
    data_formats = ["prometheus"],
    stability = "beta"
)]
pub struct Prometheus {
    store: Mutex<Store>,
}

impl Prometheus {
    /// The store is left consistent by every step, so a panic elsewhere in its user takes nothing away.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prometheus({} series)", self.store().series())
    }
}

#[async_trait]
impl Plugin for Prometheus {
    type Config = PrometheusConfig;

    async fn initialize(config: PrometheusConfig, _: &InitContext) -> Result<Self> {
        let PrometheusConfig { prefix, buckets, max_series } = config;
        let store = Store::new(prefix, buckets, max_series)?;
        Ok(Prometheus { store: Mutex::new(store) })
    }

    async fn health(&self) -> Result<Health> {
        let store = self.store();
        let health = match store.dropped() {
            0 => Health::healthy(),
            _ => Health::degraded(
                "measurements are dropped because there are too many series: raise `max_series`, or use fewer labels",
            ),
        };
        Ok(health.detail("series", store.series()).detail("dropped", store.dropped()))
    }
}

#[async_trait]
impl Monitoring for Prometheus {
    async fn record(&self, measurements: Vec<Measurement>) -> Result<()> {
        self.store().record(measurements)
    }

    async fn export(&self) -> Result<String> {
        // Copied under the lock and written outside it, so that a scrape delays no measurement for long.
        let families = self.store().snapshot();
        Ok(exposition::write(&families))
    }
}
