//! Alert rules: what is measured over a window of time, compared with a limit.

use mlx_core::prelude::*;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

/// Values that a rule looks back at; of more the oldest are forgotten before their time.
const KEPT: usize = 10_000;

/// When an alert fires.
#[derive(Clone, Debug, PluginConfig)]
#[config(validate = check)]
pub struct AlertRule {
    /// The name of the alert.
    #[config(non_empty)]
    pub name: String,
    /// The measurement, by the name that it is recorded under.
    #[config(non_empty)]
    pub metric: String,
    /// Labels that the measurement must have; others do not matter.
    #[config(default)]
    pub labels: BTreeMap<String, String>,
    /// What of the values in the window is compared.
    #[config(default = Statistic::Mean)]
    pub statistic: Statistic,
    /// The alert fires above this.
    pub above: Option<f64>,
    /// The alert fires below this.
    pub below: Option<f64>,
}

/// What of the values in a window is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PluginConfig)]
#[config(rename_all = "lowercase")]
pub enum Statistic {
    /// How many there are; 0 without any.
    Count,
    /// The newest.
    Last,
    /// The largest.
    Max,
    /// Their mean.
    Mean,
    /// The smallest.
    Min,
    /// Their sum: of a counter, how much it grew; 0 without any.
    Sum,
}

/// An alert began to fire, or ended. The monitoring plugin publishes it as an event of the platform:
/// `platform.events().subscribe::<Alert>()`.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The name of its rule.
    pub rule: String,
    /// Whether it fires now.
    pub firing: bool,
    /// What was compared; NaN where there is nothing left to compare.
    pub value: f64,
}

fn check(rule: &AlertRule) -> Result<(), String> {
    if rule.above.is_none() && rule.below.is_none() {
        return Err("the rule has no limit: set `above` or `below`".to_owned());
    }
    match (rule.above, rule.below) {
        (Some(above), Some(below)) if above < below => {
            Err(format!("every value is above {above} or below {below}"))
        }
        _ => Ok(()),
    }
}

/// The rules, and what they look back at.
#[derive(Debug)]
pub struct Alerts {
    window: Duration,
    watches: Vec<Watch>,
}

#[derive(Debug)]
struct Watch {
    rule: AlertRule,
    values: VecDeque<(Instant, f64)>,
    firing: bool,
}

impl Alerts {
    /// Watches by these rules.
    pub fn new(window: Duration, rules: Vec<AlertRule>) -> Self {
        let watch = |rule| Watch {
            rule,
            values: VecDeque::new(),
            firing: false,
        };
        Alerts {
            window,
            watches: rules.into_iter().map(watch).collect(),
        }
    }

    /// Takes a measurement that was made at `now`.
    pub fn observe(&mut self, measurement: &Measurement, now: Instant) {
        for watch in self
            .watches
            .iter_mut()
            .filter(|watch| watch.rule.concerns(measurement))
        {
            watch.values.push_back((now, measurement.value));
            if watch.values.len() > KEPT {
                watch.values.pop_front();
            }
        }
    }

    /// Compares with the limits, and returns the alerts that began to fire or ended.
    pub fn evaluate(&mut self, now: Instant) -> Vec<Alert> {
        let mut changed = Vec::new();
        for watch in &mut self.watches {
            let old = |taken: &Instant| now.saturating_duration_since(*taken) > self.window;
            while watch.values.front().is_some_and(|(taken, _)| old(taken)) {
                watch.values.pop_front();
            }
            let value = watch.rule.statistic.of(&watch.values);
            let firing = value.is_some_and(|value| watch.rule.fires(value));
            if firing != watch.firing {
                watch.firing = firing;
                let value = value.unwrap_or(f64::NAN);
                changed.push(Alert {
                    rule: watch.rule.name.clone(),
                    firing,
                    value,
                });
            }
        }
        changed
    }

    /// The rules, and whether each fires.
    pub fn states(&self) -> impl Iterator<Item = (&str, bool)> {
        self.watches
            .iter()
            .map(|watch| (watch.rule.name.as_str(), watch.firing))
    }
}

impl AlertRule {
    fn concerns(&self, measurement: &Measurement) -> bool {
        measurement.name == self.metric
            && self
                .labels
                .iter()
                .all(|(key, value)| measurement.labels.get(key) == Some(value))
    }

    fn fires(&self, value: f64) -> bool {
        self.above.is_some_and(|limit| value > limit)
            || self.below.is_some_and(|limit| value < limit)
    }
}

impl Statistic {
    #[allow(clippy::cast_precision_loss)]
    fn of(self, values: &VecDeque<(Instant, f64)>) -> Option<f64> {
        let count = values.len() as f64;
        let all = || values.iter().map(|(_, value)| *value);
        match self {
            Statistic::Count => Some(count),
            Statistic::Sum => Some(all().sum()),
            Statistic::Last => values.back().map(|(_, value)| *value),
            Statistic::Max => all().reduce(f64::max),
            Statistic::Min => all().reduce(f64::min),
            Statistic::Mean => (count > 0.0).then(|| all().sum::<f64>() / count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts(rule: JsonValue) -> Result<Alerts> {
        let rule = mlx_core::config::from_json(rule)
            .map_err(|found| Error::from_diagnostics("the rule", found))?;
        Ok(Alerts::new(Duration::from_secs(60), vec![rule]))
    }

    fn latency(value: f64) -> Measurement {
        Measurement::histogram("latency_seconds", value).label("route", "/predict")
    }

    #[test]
    fn an_alert_fires_once_and_ends_when_its_window_is_over() -> Result<()> {
        let mut alerts = alerts(json!({
            "name": "slow", "metric": "latency_seconds", "labels": {"route": "/predict"}, "above": 0.5,
        }))?;
        let start = Instant::now();
        alerts.observe(&latency(0.4), start);
        assert!(alerts.evaluate(start).is_empty());
        alerts.observe(&latency(1.0), start);
        let fired = alerts.evaluate(start);
        assert_eq!(
            fired,
            [Alert {
                rule: "slow".to_owned(),
                firing: true,
                value: 0.7
            }]
        );
        assert!(alerts.evaluate(start).is_empty());
        let ended = alerts.evaluate(start + Duration::from_secs(61));
        assert!(!ended[0].firing && ended[0].value.is_nan());
        Ok(())
    }

    #[test]
    fn other_measurements_do_not_matter() -> Result<()> {
        let mut alerts = alerts(json!({
            "name": "slow", "metric": "latency_seconds", "labels": {"route": "/health"},
            "statistic": "count", "above": 0.0,
        }))?;
        let now = Instant::now();
        alerts.observe(&latency(9.0), now);
        alerts.observe(&Measurement::gauge("other", 9.0), now);
        assert!(alerts.evaluate(now).is_empty());
        Ok(())
    }

    #[test]
    fn silence_can_be_an_alert() -> Result<()> {
        let rule = json!({"name": "quiet", "metric": "latency_seconds", "statistic": "count", "below": 1.0});
        let mut alerts = alerts(rule)?;
        assert!(alerts.evaluate(Instant::now())[0].firing);
        assert_eq!(alerts.states().collect::<Vec<_>>(), [("quiet", true)]);
        Ok(())
    }

    #[test]
    fn each_statistic_is_what_it_says() {
        let now = Instant::now();
        let values = VecDeque::from([(now, 1.0), (now, 4.0), (now, 1.0)]);
        let of = |statistic: Statistic| statistic.of(&values);
        assert_eq!(of(Statistic::Count), Some(3.0));
        assert_eq!(of(Statistic::Sum), Some(6.0));
        assert_eq!(of(Statistic::Mean), Some(2.0));
        assert_eq!(of(Statistic::Max), Some(4.0));
        assert_eq!(of(Statistic::Min), Some(1.0));
        assert_eq!(of(Statistic::Last), Some(1.0));
        assert_eq!(Statistic::Mean.of(&VecDeque::new()), None);
    }

    #[test]
    fn a_rule_without_a_limit_is_refused() {
        assert!(alerts(json!({"name": "a", "metric": "m"})).is_err());
        assert!(alerts(json!({"name": "a", "metric": "m", "above": 1.0, "below": 2.0})).is_err());
    }
}
