//! What was measured so far.

use mlx_core::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that a name, a help text or a label's value may have: a bound for each series as `max_series` is for all.
const MAX_TEXT_BYTES: usize = 1024;
/// Labels that a measurement may have.
const MAX_LABELS: usize = 32;
/// What a histogram's name is followed by in the lines of an export.
const HISTOGRAM_SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

pub(super) type Labels = BTreeMap<String, String>;

/// All series of one name.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) kind: MeasurementKind,
    pub(super) help: String,
    pub(super) series: BTreeMap<Labels, Value>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    Histogram(Distribution),
}

/// How often which values were seen.
#[derive(Clone, Debug)]
pub(super) struct Distribution {
    /// Upper end and count of each bucket, without what is in the lower ones; the last end is infinite.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
}

#[derive(Debug)]
pub(super) struct Store {
    prefix: String,
    /// Rising, the last infinite.
    ends: Vec<f64>,
    max_series: usize,
    families: BTreeMap<String, Family>,
    series: usize,
    dropped_name: String,
    dropped: u64,
}

impl Store {
    pub(super) fn new(prefix: String, mut ends: Vec<f64>, max_series: usize) -> Result<Self> {
        if !prefix.is_empty() && !is_metric_name(&prefix) {
            return Err(Error::invalid(format!(
                "`prefix` is {prefix:?}: it must begin with a letter, `_` or `:`, and go on with these and digits"
            )));
        }
        if ends.is_empty() || !ends.iter().all(|end| end.is_finite()) || !ends.is_sorted_by(|a, b| a < b) {
            return Err(Error::invalid(format!(
                "`buckets` is {ends:?}: it must have finite numbers, each above the last"
            )));
        }
        ends.push(f64::INFINITY);
        let dropped_name = format!("{prefix}dropped_series_total");
        Ok(Store { prefix, ends, max_series, families: BTreeMap::new(), series: 0, dropped_name, dropped: 0 })
    }

    /// Lines of an export.
    pub(super) fn series(&self) -> usize {
        self.series
    }

    /// Measurements that would have begun a series too many.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes all of them, or none when one is wrong.
    pub(super) fn record(&mut self, mut measurements: Vec<Measurement>) -> Result<()> {
        let mut begun: BTreeMap<&str, MeasurementKind> = BTreeMap::new();
        for measurement in &mut measurements {
            measurement.name.insert_str(0, &self.prefix);
        }
        for measurement in &measurements {
            check(measurement)?;
            let (name, kind) = (measurement.name.as_str(), measurement.kind);
            self.check_kind(name, kind, &begun)?;
            begun.insert(name, kind);
        }
        for measurement in measurements {
            self.take(measurement);
        }
        Ok(())
    }

    /// A name has one kind, and a histogram has the names of its lines to itself.
    fn check_kind(&self, name: &str, kind: MeasurementKind, begun: &BTreeMap<&str, MeasurementKind>) -> Result<()> {
        let known = |name: &str| self.families.get(name).map(|family| family.kind).or_else(|| begun.get(name).copied());
        match known(name) {
            Some(known) if known == kind => return Ok(()),
            Some(known) => {
                let (known, kind) = (kind_name(known), kind_name(kind));
                return Err(Error::invalid(format!("`{name}` is a {known}, and cannot be recorded as a {kind}")));
            }
            None => {}
        }
        if name == self.dropped_name {
            return Err(Error::invalid(format!("`{name}` is the name of the plugin's own counter")));
        }
        let taken = |line: &str, by: &str| {
            Err(Error::invalid(format!("`{name}` cannot be a name: `{line}` is a line of `{by}`")))
        };
        for suffix in HISTOGRAM_SUFFIXES {
            if let Some(base) = name.strip_suffix(suffix)
                && known(base) == Some(MeasurementKind::Histogram)
            {
                return taken(name, base);
            }
            let line = format!("{name}{suffix}");
            if kind == MeasurementKind::Histogram && (known(&line).is_some() || line == self.dropped_name) {
                return taken(&line, &line);
            }
        }
        Ok(())
    }

    fn take(&mut self, measurement: Measurement) {
        let Measurement { name, kind, value, labels, help, .. } = measurement;
        let lines = match kind {
            MeasurementKind::Histogram => self.ends.len() + 2,
            MeasurementKind::Counter | MeasurementKind::Gauge => 1,
        };
        let is_new = self.families.get(&name).is_none_or(|family| !family.series.contains_key(&labels));
        if is_new {
            if self.series + lines > self.max_series {
                self.dropped += 1;
                return;
            }
            self.series += lines;
        }
        let family =
            self.families.entry(name).or_insert_with(|| Family { kind, help: String::new(), series: BTreeMap::new() });
        if family.help.is_empty() {
            family.help = help;
        }
        let series = family.series.entry(labels).or_insert_with(|| match kind {
            MeasurementKind::Histogram => {
                Value::Histogram(Distribution { buckets: self.ends.iter().map(|&end| (end, 0)).collect(), sum: 0.0 })
            }
            MeasurementKind::Counter | MeasurementKind::Gauge => Value::Number(0.0),
        });
        match series {
            Value::Number(number) if kind == MeasurementKind::Counter => *number += value,
            Value::Number(number) => *number = value,
            Value::Histogram(distribution) => {
                distribution.sum += value;
                let bucket = distribution.buckets.partition_point(|(end, _)| *end < value);
                if let Some((_, count)) = distribution.buckets.get_mut(bucket) {
                    *count += 1;
                }
            }
        }
    }

    /// Everything, with the plugin's own counter.
    pub(super) fn snapshot(&self) -> BTreeMap<String, Family> {
        let mut families = self.families.clone();
        let dropped = Family {
            kind: MeasurementKind::Counter,
            help: "Measurements dropped because they would have begun a series beyond max_series.".to_owned(),
            // Exact up to 2^53.
            series: BTreeMap::from([(Labels::new(), Value::Number(self.dropped as f64))]),
        };
        families.insert(self.dropped_name.clone(), dropped);
        families
    }
}

pub(super) const fn kind_name(kind: MeasurementKind) -> &'static str {
    match kind {
        MeasurementKind::Counter => "counter",
        MeasurementKind::Gauge => "gauge",
        MeasurementKind::Histogram => "histogram",
    }
}

/// What the format asks of a measurement by itself.
fn check(measurement: &Measurement) -> Result<()> {
    let Measurement { name, kind, value, labels, help, .. } = measurement;
    if !is_metric_name(name) {
        return Err(Error::invalid(format!(
            "{name:?} cannot be the name of a measurement: it must begin with a letter, `_` or `:`, and go on with these and digits"
        )));
    }
    let wrong = |why: String| Err(Error::invalid(format!("`{name}` {why}")));
    match kind {
        MeasurementKind::Counter if !(value.is_finite() && *value >= 0.0) => {
            return wrong(format!("is a counter, and {value} cannot be added to it: it only grows"));
        }
        MeasurementKind::Histogram if !value.is_finite() => {
            return wrong(format!("is a histogram, and {value} would spoil its sum"));
        }
        _ => {}
    }
    for label in labels.keys() {
        if !is_label_name(label) {
            return wrong(format!(
                "has the label {label:?}: it must begin with a letter or `_`, and go on with these and digits"
            ));
        }
        if label.starts_with("__") || (label == "le" && *kind == MeasurementKind::Histogram) {
            return wrong(format!("has the label `{label}`, which Prometheus keeps for itself"));
        }
    }
    if labels.len() > MAX_LABELS {
        return wrong(format!("has {} labels, and may have {MAX_LABELS}", labels.len()));
    }
    let texts: BTreeSet<&String> = labels.iter().flat_map(|(key, value)| [key, value]).chain([name, help]).collect();
    if texts.iter().any(|text| text.len() > MAX_TEXT_BYTES) {
        return wrong(format!("has a name, a label or a help text of more than {MAX_TEXT_BYTES} bytes"));
    }
    Ok(())
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`.
fn is_metric_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
        && !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`.
fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}
