//! `metrics`: measurements in the text format of Prometheus, and alerts on them.
//!
//! The rules are compared with what was measured whenever something is measured, exported, or the
//! health is asked for. An alert is an event of the platform ([`Alert`]), and a line of the export:
//! `alert_firing{rule="…"} 1`.

use crate::platform::monitoring::alerts::{Alert, AlertRule, Alerts};
use mlx_core::{plugin::Events, prelude::*};
use mlx_plugins::monitoring::prometheus;
use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Settings of the measurements.
#[derive(PluginConfig)]
pub struct MetricsConfig {
    /// prefix, max_series, window.
    #[config(extends)]
    pub base: mlx_components::services::Monitoring,
    /// When alerts fire.
    #[config(default)]
    pub rules: Vec<AlertRule>,
}

/// Measurements in the text format of Prometheus, and alerts on them.
#[mlx_plugin(
    type = "monitoring",
    name = "metrics",
    capabilities = ["metrics", "alerting"],
    data_formats = ["prometheus"]
)]
pub struct Metrics {
    store: prometheus::Prometheus,
    alerts: Mutex<Alerts>,
    events: Events,
}

#[async_trait]
impl Plugin for Metrics {
    type Config = MetricsConfig;

    async fn initialize(config: MetricsConfig, cx: &InitContext) -> Result<Self> {
        let MetricsConfig { base, rules } = config;
        let mut names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid(format!(
                "two rules are named `{}`",
                twice[0]
            )));
        }
        let mut settings: prometheus::PrometheusConfig = mlx_core::config::from_json(json!({}))
            .map_err(|found| Error::from_diagnostics("the defaults", found))?;
        settings.prefix = base.prefix;
        settings.max_series = usize::try_from(base.max_series).context("`max_series`")?;
        Ok(Metrics {
            store: prometheus::Prometheus::initialize(settings, cx).await?,
            alerts: Mutex::new(Alerts::new(base.window, rules)),
            events: cx.events().clone(),
        })
    }

    async fn health(&self) -> Result<Health> {
        let firing: Vec<String> = self
            .evaluate(&[])
            .into_iter()
            .filter_map(|(rule, firing)| firing.then_some(rule))
            .collect();
        Ok(self.store.health().await?.detail("firing", firing))
    }
}

impl Metrics {
    /// Compares the rules with what was measured, and returns whether each fires.
    fn evaluate(&self, measurements: &[Measurement]) -> Vec<(String, bool)> {
        let now = Instant::now();
        let mut alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        measurements
            .iter()
            .for_each(|measurement| alerts.observe(measurement, now));
        alerts.evaluate(now).into_iter().for_each(|alert: Alert| {
            self.events.publish(alert);
        });
        alerts
            .states()
            .map(|(rule, firing)| (rule.to_owned(), firing))
            .collect()
    }
}

#[async_trait]
impl Monitoring for Metrics {
    async fn record(&self, measurements: Vec<Measurement>) -> Result<()> {
        self.store.record(measurements.clone()).await?;
        self.evaluate(&measurements);
        Ok(())
    }

    async fn export(&self) -> Result<String> {
        let states = self.evaluate(&[]).into_iter().map(|(rule, firing)| {
            Measurement::gauge("alert_firing", f64::from(u8::from(firing)))
                .label("rule", rule)
                .help("Whether an alert fires.")
        });
        self.store.record(states.collect()).await?;
        self.store.export().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn start(rules: JsonValue, cx: &InitContext) -> Result<Metrics> {
        let config = mlx_core::config::from_json(json!({ "rules": rules }))
            .map_err(|found| Error::from_diagnostics("the settings", found))?;
        Metrics::initialize(config, cx).await
    }

    #[test]
    fn an_alert_is_an_event_and_a_line_of_the_export() -> Result<()> {
        mlx_core::block_on(async {
            let cx = InitContext::alone("metrics");
            let mut events = cx.events().subscribe::<Alert>();
            let rules = json!([{"name": "errors", "metric": "errors_total", "statistic": "sum", "above": 2.0}]);
            let metrics = start(rules, &cx).await?;
            assert!(
                metrics
                    .export()
                    .await?
                    .contains("alert_firing{rule=\"errors\"} 0")
            );
            metrics
                .record(vec![Measurement::counter("errors_total", 3.0)])
                .await?;
            let export = metrics.export().await?;
            assert!(export.contains("errors_total 3"), "{export}");
            assert!(
                export.contains("alert_firing{rule=\"errors\"} 1"),
                "{export}"
            );
            let alert = events
                .recv()
                .await
                .context("an event")?
                .map_err(Error::wrap)?;
            assert_eq!((alert.rule.as_str(), alert.firing), ("errors", true));
            assert_eq!(metrics.health().await?.details["firing"], json!(["errors"]));
            Ok(())
        })
    }

    #[test]
    fn two_rules_of_one_name_are_refused() -> Result<()> {
        mlx_core::block_on(async {
            let rule = json!({"name": "a", "metric": "m", "above": 1.0});
            let refused = start(json!([rule, rule]), &InitContext::alone("metrics")).await;
            assert_eq!(
                refused.err().context("an error")?.kind(),
                ErrorKind::Invalid
            );
            Ok(())
        })
    }
}
