//! What plugins take while they run, and how a monitoring plugin gets to know.

use super::{Platform, running::Running};
use crate::{
    contracts::{Measurement, Monitoring},
    diagnostics::{Error, Result},
    handle::Handle,
    metrics::OperationMetrics,
    resilience::{CircuitState, ResilienceMetrics},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::sleep;

/// What a platform's plugins have done so far, as [`Platform::metrics`] found it.
///
/// `initialize`, `execute` and `shutdown` are always counted. Calls through handles are counted for plugins whose
/// composition says `measure: true`; a call that returns a stream lasts until it has returned it. Counts go on when a plugin
/// is replaced.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// By type and id: `data_source/sqlite`. Operations are sorted by name.
    pub plugins: BTreeMap<String, Vec<OperationMetrics>>,
    /// What policies for calls have done, for plugins that have any. With a retry, `plugins` counts each attempt.
    pub resilience: BTreeMap<String, ResilienceMetrics>,
}

impl Metrics {
    fn of(running: &Running) -> Self {
        let snapshot = running.snapshot();
        let plugins = snapshot.members.iter().map(|member| (member.label().to_owned(), member.meter.snapshot()));
        let resilience =
            snapshot.members.iter().filter_map(|member| Some((member.label().to_owned(), member.resilience()?)));
        Metrics { plugins: plugins.collect(), resilience: resilience.collect() }
    }

    /// What is known of one operation of the plugin with this type and id; `None` if it never began.
    pub fn get(&self, plugin: &str, operation: &str) -> Option<&OperationMetrics> {
        self.plugins.get(plugin)?.iter().find(|metrics| metrics.operation == operation)
    }
}

/// A line for each operation, and one for each plugin with policies.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (plugin, operations) in &self.plugins {
            for o in operations {
                write!(f, "{plugin} {}: {} completed, {} errors", o.operation, o.completed, o.errors)?;
                if o.cancelled > 0 {
                    write!(f, ", {} cancelled", o.cancelled)?;
                }
                writeln!(f, ", p50 {:?}, p90 {:?}, p99 {:?}, max {:?}", o.p50, o.p90, o.p99, o.max)?;
            }
        }
        for (plugin, r) in &self.resilience {
            write!(f, "{plugin} resilience: {} retries, {} timeouts, rejected: ", r.retries, r.timeouts)?;
            write!(f, "{} by circuit breaker, ", r.rejected_by_circuit_breaker)?;
            write!(f, "{} by concurrency, {} by rate limit", r.rejected_by_concurrency, r.rejected_by_rate_limit)?;
            if let Some(circuit) = r.circuit {
                write!(f, ", circuit {circuit}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Platform {
    /// What the plugins have done so far: counts, errors, and how long it took.
    ///
    /// ```
    /// # use mlx_core::prelude::*;
    /// # fn main() -> Result<()> { mlx_core::block_on(async {
    /// # let platform = registry().activate(Composition::from_yaml("plugins: []")?).await?;
    /// let metrics = platform.metrics();
    /// if let Some(queries) = metrics.get("data_source/sqlite", "data_source.query") {
    ///     println!("{} queries, one in a hundred over {:?}", queries.completed, queries.p99);
    /// }
    /// print!("{metrics}");
    /// # platform.shutdown().await }) }
    /// ```
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.running)
    }

    /// What gives [`metrics`](Platform::metrics) to a monitoring plugin, each time it is told to or every so often.
    pub fn metrics_exporter(&self, monitoring: Handle<dyn Monitoring>) -> MetricsExporter {
        MetricsExporter {
            running: Arc::downgrade(&self.running),
            monitoring,
            exported: BTreeMap::new(),
            resilience: BTreeMap::new(),
        }
    }
}

/// Gives the metrics of a platform to a monitoring plugin: [`Platform::metrics_exporter`].
///
/// | name | kind | labels |
/// |---|---|---|
/// | `mlx_operations_total` | counter | `plugin`, `operation`, `outcome`: `ok`, `error` or `cancelled` |
/// | `mlx_operation_seconds_total` | counter | `plugin`, `operation` |
/// | `mlx_operation_seconds` | gauge | `plugin`, `operation`, `quantile`: `0.5`, `0.9`, `0.99` or `1`, since the start |
/// | `mlx_resilience_total` | counter | `plugin`, `event`: `retry`, `timeout`, `rejected_by_circuit_breaker`, `rejected_by_concurrency` or `rejected_by_rate_limit` |
/// | `mlx_circuit_open` | gauge | `plugin`; 1 while calls are refused, else 0 |
pub struct MetricsExporter {
    /// Weak, so that it does not keep a platform that is dropped.
    running: Weak<Running>,
    monitoring: Handle<dyn Monitoring>,
    /// What counters have been told already.
    exported: BTreeMap<(String, &'static str), Told>,
    resilience: BTreeMap<String, ResilienceMetrics>,
}

#[derive(Clone, Copy, Default)]
struct Told {
    ok: u64,
    errors: u64,
    cancelled: u64,
    total: Duration,
}

impl MetricsExporter {
    /// Gives the plugin what was counted since the last time. What it does not take is in the next.
    ///
    /// # Errors
    /// [`Stopped`](crate::ErrorKind::Stopped) when the platform is gone; else what the plugin reported.
    pub async fn export(&mut self) -> Result<()> {
        let running = self.running.upgrade().ok_or_else(|| Error::stopped("the platform has ended"))?;
        let metrics = Metrics::of(&running);
        drop(running);
        let mut told = self.exported.clone();
        let mut measurements = Vec::new();
        for (plugin, operations) in &metrics.plugins {
            for operation in operations {
                let before = told.entry((plugin.clone(), operation.operation)).or_default();
                let now = Told::of(operation);
                measurements.extend(before.measure(now, plugin, operation));
                *before = now;
            }
        }
        for (plugin, now) in &metrics.resilience {
            let before = self.resilience.get(plugin).copied().unwrap_or_default();
            measurements.extend(policies(plugin, &before, now));
        }
        self.monitoring.record(measurements).await?;
        (self.exported, self.resilience) = (told, metrics.resilience);
        Ok(())
    }

    /// Exports this often until the platform is shut down: `tokio::spawn(exporter.run(Duration::from_secs(15), |error|
    /// eprintln!("{error}")))`. A failure is given to `failed`, and the next time it is tried again.
    pub async fn run(mut self, every: Duration, mut failed: impl FnMut(Error)) {
        let Some(closing) = self.running.upgrade().map(|running| running.closing.clone()) else { return };
        while closing.run_until_cancelled(sleep(every)).await.is_some() && self.running.strong_count() > 0 {
            if let Err(error) = self.export().await {
                failed(error);
            }
        }
    }
}

/// What policies have done since they were `before`.
fn policies(plugin: &str, before: &ResilienceMetrics, now: &ResilienceMetrics) -> Vec<Measurement> {
    let counts = |metrics: &ResilienceMetrics| {
        [
            ("retry", metrics.retries),
            ("timeout", metrics.timeouts),
            ("rejected_by_circuit_breaker", metrics.rejected_by_circuit_breaker),
            ("rejected_by_concurrency", metrics.rejected_by_concurrency),
            ("rejected_by_rate_limit", metrics.rejected_by_rate_limit),
        ]
    };
    let event = |((_, before), (event, now)): ((&str, u64), (&str, u64))| {
        let count = now.saturating_sub(before) as f64;
        let counter = Measurement::counter("mlx_resilience_total", count).label("plugin", plugin).label("event", event);
        counter.help("What policies have done with calls to plugins.")
    };
    let mut measurements: Vec<Measurement> = counts(before).into_iter().zip(counts(now)).map(event).collect();
    if let Some(circuit) = now.circuit {
        let open = if circuit == CircuitState::Closed { 0.0 } else { 1.0 };
        let gauge = Measurement::gauge("mlx_circuit_open", open).label("plugin", plugin);
        measurements.push(gauge.help("Whether calls to the plugin are refused."));
    }
    measurements
}

impl Told {
    fn of(metrics: &OperationMetrics) -> Self {
        // Counted one after the other, so that an error can be there before its completion is.
        let ok = metrics.completed.saturating_sub(metrics.errors);
        Told { ok, errors: metrics.errors, cancelled: metrics.cancelled, total: metrics.total }
    }

    fn measure(self, now: Told, plugin: &str, metrics: &OperationMetrics) -> Vec<Measurement> {
        let labelled =
            |measurement: Measurement| measurement.label("plugin", plugin).label("operation", metrics.operation);
        let count = |outcome: &str, before: u64, now: u64| {
            let count = Measurement::counter("mlx_operations_total", now.saturating_sub(before) as f64);
            labelled(count.label("outcome", outcome).help("Operations of plugins."))
        };
        let seconds = now.total.saturating_sub(self.total).as_secs_f64();
        let total = Measurement::counter("mlx_operation_seconds_total", seconds);
        let mut measurements = vec![
            count("ok", self.ok, now.ok),
            count("error", self.errors, now.errors),
            count("cancelled", self.cancelled, now.cancelled),
            labelled(total.help("What the completed operations of plugins took together.")),
        ];
        for (quantile, duration) in
            [("0.5", metrics.p50), ("0.9", metrics.p90), ("0.99", metrics.p99), ("1", metrics.max)]
        {
            let gauge = Measurement::gauge("mlx_operation_seconds", duration.as_secs_f64()).label("quantile", quantile);
            measurements.push(labelled(gauge.help("What an operation of a plugin takes, since the start.")));
        }
        measurements
    }
}

impl fmt::Debug for MetricsExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsExporter").field("monitoring", &self.monitoring).finish_non_exhaustive()
    }
}
