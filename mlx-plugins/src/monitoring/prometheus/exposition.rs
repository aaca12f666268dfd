//! The text format, version 0.0.4.

use super::series::{Family, Labels, Value, kind_name};
use std::{collections::BTreeMap, fmt::Write};

/// Everything, sorted by name and labels.
pub(super) fn write(families: &BTreeMap<String, Family>) -> String {
    let mut text = String::new();
    for (name, family) in families {
        if !family.help.is_empty() {
            text.extend(["# HELP ", name, " ", &escape(&family.help, false), "\n"]);
        }
        text.extend(["# TYPE ", name, " ", kind_name(family.kind), "\n"]);
        for (labels, value) in &family.series {
            match value {
                Value::Number(value) => line(&mut text, name, "", labels, None, &number(*value)),
                Value::Histogram(distribution) => {
                    let mut count = 0;
                    for (end, here) in &distribution.buckets {
                        count += here;
                        line(&mut text, name, "_bucket", labels, Some(&number(*end)), &count.to_string());
                    }
                    line(&mut text, name, "_sum", labels, None, &number(distribution.sum));
                    line(&mut text, name, "_count", labels, None, &count.to_string());
                }
            }
        }
    }
    text
}

fn line(text: &mut String, name: &str, suffix: &str, labels: &Labels, le: Option<&str>, value: &str) {
    text.extend([name, suffix]);
    let labels = labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let mut before = "{";
    for (key, value) in labels.chain(le.map(|end| ("le", end))) {
        text.extend([before, key, "=\"", &escape(value, true), "\""]);
        before = ",";
    }
    if before == "," {
        text.push('}');
    }
    text.extend([" ", value, "\n"]);
}

/// Backslash and line feed, and the quote in labels.
fn escape(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

/// As Go reads it; the shortest form that reads back as the same number.
fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = match value.abs() {
        0.0 | 1e-6..1e17 => write!(text, "{value}"),
        _ => write!(text, "{value:e}"),
    };
    text
}
