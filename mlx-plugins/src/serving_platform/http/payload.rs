//! Between the JSON of a prediction and tables.

use super::failure::Failure;
use axum::http::StatusCode;
use mlx_core::{
    arrow::{
        array::{ArrayRef, Float64Array},
        datatypes::DataType,
    },
    prelude::*,
};
use serde_json::{Map, Number, Value};
use std::{collections::BTreeMap, sync::Arc};

/// Features that an error names; the rest is counted.
const NAMED: usize = 20;

/// Reads the rows or columns of a request into a table of the model's features, in their order. `None` when there
/// are no rows.
pub(super) fn table(body: &[u8], signature: &ModelSignature, max_rows: usize) -> Result<Option<DataFrame>, Failure> {
    let json: Value =
        serde_json::from_slice(body).map_err(|error| Failure::malformed(format!("the body is not JSON: {error}")))?;
    let shape = || Failure::malformed("the body must be `{\"rows\": [{…}, …]}` or `{\"columns\": {\"…\": […], …}}`");
    let Value::Object(mut body) = json else {
        return Err(shape());
    };
    let data = match (body.remove("rows"), body.remove("columns")) {
        (Some(Value::Array(rows)), None) if body.is_empty() => from_rows(&rows, signature, max_rows)?,
        (None, Some(Value::Object(columns))) if body.is_empty() => from_columns(&columns, signature, max_rows)?,
        _ => return Err(shape()),
    };
    if data.first().is_none_or(Vec::is_empty) {
        return Ok(None);
    }
    let columns = signature
        .features
        .iter()
        .zip(data)
        .map(|(name, column)| (name, Arc::new(Float64Array::from(column)) as ArrayRef));
    DataFrame::from_columns(columns).map(Some).map_err(|_| Failure::internal())
}

fn from_rows(rows: &[Value], signature: &ModelSignature, max_rows: usize) -> Result<Vec<Vec<f64>>, Failure> {
    check_rows(rows.len(), max_rows)?;
    let mut faults = Faults::default();
    let mut columns: Vec<Vec<f64>> = signature.features.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for (index, row) in rows.iter().enumerate() {
        let Value::Object(row) = row else {
            return Err(Failure::malformed(format!("row {index} is not an object of features")));
        };
        for (feature, column) in signature.features.iter().zip(&mut columns) {
            column.push(faults.number(feature, index, row.get(feature)));
        }
    }
    faults.check()?;
    Ok(columns)
}

fn from_columns(
    given: &Map<String, Value>,
    signature: &ModelSignature,
    max_rows: usize,
) -> Result<Vec<Vec<f64>>, Failure> {
    let mut faults = Faults::default();
    let mut columns: Vec<Vec<f64>> = Vec::with_capacity(signature.features.len());
    for feature in &signature.features {
        let column = match given.get(feature) {
            None => {
                faults.number(feature, 0, None);
                continue;
            }
            Some(Value::Array(column)) => column,
            Some(_) => {
                return Err(Failure::malformed(format!("the column `{feature}` is not a list")));
            }
        };
        check_rows(column.len(), max_rows)?;
        if let Some(other) = columns.first().map(Vec::len).filter(|other| *other != column.len()) {
            let length = column.len();
            return Err(Failure::malformed(format!(
                "the column `{feature}` has {length} values, and another has {other}"
            )));
        }
        columns.push(column.iter().enumerate().map(|(row, value)| faults.number(feature, row, Some(value))).collect());
    }
    faults.check()?;
    Ok(columns)
}

fn check_rows(rows: usize, max_rows: usize) -> Result<(), Failure> {
    if rows <= max_rows {
        return Ok(());
    }
    let message = format!("the request has {rows} rows, and may have {max_rows}; send it in parts");
    Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_rows", message))
}

/// The features that a request lacks or gives no number for, and the first row of each.
#[derive(Default)]
struct Faults<'s> {
    missing: BTreeMap<&'s str, usize>,
    not_numbers: BTreeMap<&'s str, usize>,
}

impl<'s> Faults<'s> {
    fn number(&mut self, feature: &'s str, row: usize, value: Option<&Value>) -> f64 {
        let number = value.and_then(Value::as_f64).filter(|number| number.is_finite());
        if number.is_none() {
            let faults = if value.is_some() { &mut self.not_numbers } else { &mut self.missing };
            faults.entry(feature).or_insert(row);
        }
        number.unwrap_or(f64::NAN)
    }

    fn check(self) -> Result<(), Failure> {
        let mut parts = Vec::new();
        for (what, faults) in [("missing", &self.missing), ("not a number", &self.not_numbers)] {
            if !faults.is_empty() {
                let mut named: Vec<String> =
                    faults.iter().take(NAMED).map(|(feature, row)| format!("`{feature}` (row {row})")).collect();
                if faults.len() > NAMED {
                    named.push(format!("{} more", faults.len() - NAMED));
                }
                parts.push(format!("{what}: {}", named.join(", ")));
            }
        }
        if parts.is_empty() {
            return Ok(());
        }
        let mut failure = Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_features", parts.join("; "));
        let features: std::collections::BTreeSet<&str> =
            self.missing.into_keys().chain(self.not_numbers.into_keys()).collect();
        failure.features = features.into_iter().map(str::to_owned).collect();
        Err(failure)
    }
}

/// The answer to a request of `rows` rows.
///
/// # Errors
/// The model server gave a table of another form than its contract says.
pub(super) fn answer(
    name: &str,
    predicted: Option<&DataFrame>,
    signature: &ModelSignature,
    rows: usize,
) -> Result<Vec<u8>> {
    let mut predictions: Vec<Value> = Vec::with_capacity(rows);
    if let Some(predicted) = predicted {
        if predicted.num_rows() != rows {
            return Err(Error::failed(format!("the model server answered {} rows for {rows}", predicted.num_rows())));
        }
        let mut probabilities = Vec::with_capacity(signature.classes.len());
        for class in &signature.classes {
            let column = format!("probability_{class}");
            if predicted.column_names().any(|name| name == column) {
                probabilities.push((class, predicted.f64_column(&column)?));
            }
        }
        for (row, prediction) in values(predicted, "prediction")?.into_iter().enumerate() {
            let mut object = Map::new();
            object.insert("prediction".to_owned(), prediction);
            if !probabilities.is_empty() {
                let of_row = probabilities.iter().map(|(class, column)| ((*class).clone(), number(column[row])));
                object.insert("probabilities".to_owned(), Value::Object(of_row.collect()));
            }
            predictions.push(Value::Object(object));
        }
    }
    Ok(serde_json::to_vec(&json!({"model": name, "predictions": predictions}))?)
}

fn values(table: &DataFrame, column: &str) -> Result<Vec<Value>> {
    let data = table.column(column)?;
    if matches!(data.data_type(), DataType::Float16 | DataType::Float32 | DataType::Float64) {
        return Ok(table.f64_column(column)?.into_iter().map(number).collect());
    }
    let is_number = data.data_type().is_integer();
    let texts = table.string_column(column)?.into_iter();
    Ok(texts
        .map(|text| match text {
            Some(text) if is_number => text.parse::<Number>().map_or(Value::Null, Value::Number),
            Some(text) => Value::String(text),
            None => Value::Null,
        })
        .collect())
}

/// JSON has no NaN and no infinity.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
