//! JSON: one object a line, or an array of objects.

use mlx_core::{
    Error,
    arrow::{
        array::{ArrayRef, BooleanArray, Float64Array, Int64Array, NullArray, RecordBatch, StringArray},
        datatypes::{Field, Schema},
    },
    diagnostics::{Code, Diagnostic, Location, Source},
    prelude::*,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;
use std::{collections::HashMap, fmt, path::Path, sync::Arc};

/// Rows of a batch.
const ROWS: usize = 8192;
/// Malformed lines reported at once.
const REPORTED: usize = 20;

/// An object whose fields keep the order of the file.
struct Row(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Row;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object, which is a row")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Row(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Reads the whole file. A column is of the type of all its values; one of several types, and any nested value, is
/// (JSON) text. A field that a row lacks is null.
pub(super) fn read(path: &Path) -> Result<DataFrame> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => Error::invalid(format!("{} is not UTF-8", path.display())),
        _ => Error::from(error).context(format!("reading {}", path.display())),
    })?;
    let text = text.trim_start_matches('\u{feff}');
    // The text stays out of the source, so that no report shows private data.
    let source = Source::new(path.to_string_lossy(), "");
    let mut rows = Vec::new();
    let mut malformed = Vec::new();
    if text.trim_start().starts_with('[') {
        match serde_json::from_str::<Vec<Row>>(text) {
            Ok(array) => rows = array,
            Err(error) => malformed.push(diagnostic(&error, 0, &source)),
        }
    } else {
        for (before, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str::<Row>(line) {
                Ok(row) => rows.push(row),
                Err(error) if malformed.len() < REPORTED => malformed.push(diagnostic(&error, before, &source)),
                Err(_) => break,
            }
        }
    }
    if !malformed.is_empty() {
        return Err(Error::from_diagnostics(path.display(), malformed));
    }
    table(rows).with_context(|| path.display().to_string())
}

fn diagnostic(error: &serde_json::Error, lines_before: usize, source: &Arc<Source>) -> Diagnostic {
    let line = u32::try_from(error.line() + lines_before).unwrap_or(u32::MAX);
    let column = u32::try_from(error.column().max(1)).unwrap_or(u32::MAX);
    let message = error.to_string();
    // Its own position counts from the start of what was parsed.
    let message = message.split(" at line ").next().unwrap_or(&message);
    let location = Location { source: source.clone(), line, column, length: 1 };
    Diagnostic::error(Code::Syntax, message).at(&location)
}

/// The type of a column's values so far.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    Text,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Boolean,
            Value::Number(number) if number.is_i64() => Kind::Integer,
            // Beyond what SQLite can hold; as a float it would lose digits.
            Value::Number(number) if number.is_u64() => Kind::Text,
            Value::Number(_) => Kind::Number,
            _ => Kind::Text,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Kind::Null, kind) | (kind, Kind::Null) => kind,
            (Kind::Integer, Kind::Number) | (Kind::Number, Kind::Integer) => Kind::Number,
            (one, other) if one == other => one,
            _ => Kind::Text,
        }
    }
}

fn table(rows: Vec<Row>) -> Result<DataFrame> {
    let mut names: Vec<String> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut columns: Vec<Vec<Value>> = Vec::new();
    let count = rows.len();
    for (index, Row(fields)) in rows.into_iter().enumerate() {
        for (name, value) in fields {
            let position = *positions.entry(name.clone()).or_insert_with(|| {
                names.push(name);
                columns.push(Vec::new());
                columns.len() - 1
            });
            let column = &mut columns[position];
            // The last of two fields of one name wins, as everywhere.
            column.truncate(index);
            column.resize(index, Value::Null);
            column.push(value);
        }
    }
    if names.is_empty() {
        return Err(Error::invalid("it has no row with a field, so nothing tells its columns"));
    }
    let mut fields = Vec::with_capacity(names.len());
    let mut kinds = Vec::with_capacity(names.len());
    for (name, column) in names.into_iter().zip(&mut columns) {
        column.resize(count, Value::Null);
        let kind = column.iter().map(Kind::of).fold(Kind::Null, Kind::and);
        fields.push(Field::new(name, array(&[], kind).data_type().clone(), true));
        kinds.push(kind);
    }
    let schema = Arc::new(Schema::new(fields));
    let batches = (0..count)
        .step_by(ROWS)
        .map(|first| {
            let last = (first + ROWS).min(count);
            let parts = columns.iter().zip(&kinds).map(|(column, kind)| array(&column[first..last], *kind)).collect();
            Ok(RecordBatch::try_new(schema.clone(), parts)?)
        })
        .collect::<Result<Vec<_>>>()?;
    DataFrame::new(schema.clone(), batches)
}

fn array(values: &[Value], kind: Kind) -> ArrayRef {
    match kind {
        Kind::Null => Arc::new(NullArray::new(values.len())),
        Kind::Boolean => Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>()),
        Kind::Integer => Arc::new(values.iter().map(Value::as_i64).collect::<Int64Array>()),
        Kind::Number => Arc::new(values.iter().map(Value::as_f64).collect::<Float64Array>()),
        Kind::Text => Arc::new(
            values
                .iter()
                .map(|value| match value {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                })
                .collect::<StringArray>(),
        ),
    }
}
