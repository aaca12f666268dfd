//! One line of a run's file.

use crate::storage::{nanoseconds, time};
use mlx_core::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format that this module writes, and the latest that it reads.
pub(super) const FORMAT: u32 = 1;

/// What happened to a run.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Line {
    Start { format: u32, run: String, experiment: String, name: String, tags: BTreeMap<String, String>, time: i64 },
    Params { params: BTreeMap<String, String> },
    Metrics { metrics: Vec<Value> },
    Tags { tags: BTreeMap<String, String> },
    Dataset { name: String, digest: String, source: String, context: String },
    End { status: String, time: i64 },
}

/// One value of a metric.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Value {
    name: String,
    value: Number,
    step: i64,
    time: i64,
}

/// A number; JSON has none that are not finite, so they are words.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Other(Word),
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
enum Word {
    NaN,
    Infinity,
    #[serde(rename = "-Infinity")]
    MinusInfinity,
}

impl Value {
    pub(super) fn of(metric: Metric) -> Result<Self> {
        let value = match metric.value {
            value if value.is_nan() => Number::Other(Word::NaN),
            f64::INFINITY => Number::Other(Word::Infinity),
            f64::NEG_INFINITY => Number::Other(Word::MinusInfinity),
            value => Number::Finite(value),
        };
        Ok(Value { name: metric.name, value, step: metric.step, time: nanoseconds(metric.time)? })
    }

    pub(super) fn metric(self) -> Metric {
        let value = match self.value {
            Number::Finite(value) => value,
            Number::Other(Word::NaN) => f64::NAN,
            Number::Other(Word::Infinity) => f64::INFINITY,
            Number::Other(Word::MinusInfinity) => f64::NEG_INFINITY,
        };
        Metric { name: self.name, value, step: self.step, time: time(self.time) }
    }
}

impl Line {
    /// The line with its end.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    /// Files in this format exist: what is asserted here may grow and not change.
    #[test]
    fn the_format_is_this() {
        let pairs = BTreeMap::from([("a".to_owned(), "1\n2".to_owned())]);
        let metric =
            |value| Value::of(Metric { name: "m".into(), value, step: -1, time: UNIX_EPOCH + Duration::from_nanos(5) });
        let lines = [
            (
                Line::Start {
                    format: 1,
                    run: "0f".into(),
                    experiment: "e".into(),
                    name: "n".into(),
                    tags: pairs.clone(),
                    time: 7,
                },
                r#"{"event":"start","format":1,"run":"0f","experiment":"e","name":"n","tags":{"a":"1\n2"},"time":7}"#,
            ),
            (Line::Params { params: pairs.clone() }, r#"{"event":"params","params":{"a":"1\n2"}}"#),
            (Line::Tags { tags: pairs }, r#"{"event":"tags","tags":{"a":"1\n2"}}"#),
            (
                Line::Metrics { metrics: vec![metric(0.5).unwrap(), metric(f64::NAN).unwrap()] },
                r#"{"event":"metrics","metrics":[{"name":"m","value":0.5,"step":-1,"time":5},{"name":"m","value":"NaN","step":-1,"time":5}]}"#,
            ),
            (
                Line::Metrics { metrics: vec![metric(f64::INFINITY).unwrap(), metric(f64::NEG_INFINITY).unwrap()] },
                r#"{"event":"metrics","metrics":[{"name":"m","value":"Infinity","step":-1,"time":5},{"name":"m","value":"-Infinity","step":-1,"time":5}]}"#,
            ),
            (
                Line::Dataset { name: "d".into(), digest: "0f".into(), source: "s".into(), context: "c".into() },
                r#"{"event":"dataset","name":"d","digest":"0f","source":"s","context":"c"}"#,
            ),
            (Line::End { status: "finished".into(), time: 9 }, r#"{"event":"end","status":"finished","time":9}"#),
        ];
        for (line, text) in lines {
            assert_eq!(line.to_bytes().unwrap(), format!("{text}\n").as_bytes());
            assert_eq!(serde_json::from_str::<Line>(text).unwrap(), line);
        }
    }
}
