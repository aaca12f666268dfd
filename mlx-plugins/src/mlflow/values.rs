//! What MLflow's replies and requests consist of.

use super::incomplete;
use mlx_core::prelude::*;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The rule of `mlflow.utils.validation`.
pub(crate) fn check_names<'a>(what: &str, names: impl IntoIterator<Item = &'a String>) -> Result<()> {
    for name in names {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '/' | ':');
        if name.is_empty() {
            return Err(Error::invalid(format!("the name of {what} is empty")));
        }
        if name.len() > 250 || !name.chars().all(allowed) {
            return Err(Error::invalid(format!(
                "{name:?} cannot be the name of {what} in MLflow: up to 250 letters, digits and `_ - . / : space`"
            )));
        }
    }
    Ok(())
}

/// A text that has to be there.
pub(crate) fn text(object: &JsonValue, key: &str, operation: &str) -> Result<String> {
    object[key].as_str().map(str::to_owned).ok_or_else(|| incomplete(operation, key))
}

/// A list of `{key, value}`, as parameters and tags are written.
pub(crate) fn pairs(list: &JsonValue) -> BTreeMap<String, String> {
    let pair = |pair: &JsonValue| Some((pair["key"].as_str()?.to_owned(), pair["value"].as_str()?.to_owned()));
    list.as_array().into_iter().flatten().filter_map(pair).collect()
}

/// A number, also one that JSON has no word for. Databricks writes integers as strings.
pub(crate) fn number(value: &JsonValue) -> Option<f64> {
    match value {
        JsonValue::String(text) => text.parse().ok(),
        value => value.as_f64(),
    }
}

/// A number, in words where JSON has no number for it.
pub(crate) fn wire_number(value: f64) -> JsonValue {
    match value {
        value if value.is_nan() => json!("NaN"),
        value if value == f64::INFINITY => json!("Infinity"),
        value if value == f64::NEG_INFINITY => json!("-Infinity"),
        value => json!(value),
    }
}

/// An integer, also one that is written as a text.
pub(crate) fn integer(value: &JsonValue) -> Option<i64> {
    match value {
        JsonValue::String(text) => text.parse().ok(),
        value => value.as_i64(),
    }
}

/// Milliseconds since 1970, as MLflow counts.
pub(crate) fn milliseconds(time: SystemTime) -> Result<i64> {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .ok_or_else(|| Error::invalid("MLflow records times from the year 1970 on"))
}

/// The time of so many milliseconds since 1970.
pub(crate) fn time(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

/// A text as MLflow's filters take it: in quotes, without a way to escape one.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for a text that no filter can contain.
pub(crate) fn quoted(text: &str) -> Result<String> {
    match (text.contains('\''), text.contains('"'), text.contains('\\')) {
        (false, _, false) => Ok(format!("'{text}'")),
        (true, false, false) => Ok(format!("\"{text}\"")),
        _ => Err(Error::invalid(format!(
            "MLflow's filters cannot contain {text:?}: they take neither a backslash nor both kinds of quotes"
        ))),
    }
}
