//! Arrow tables into Snowflake.

use super::{names, parameters::Parameters};
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, make_array},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Float64Type, Schema, TimeUnit},
    error::ArrowError,
};
use mlx_core::prelude::*;
use std::collections::HashSet;

/// The columns of a table that is written.
pub(super) struct Columns {
    /// In quotes, as Snowflake has them.
    names: Vec<String>,
    types: Vec<String>,
}

impl Columns {
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for a type that Snowflake has none for, [`Invalid`](ErrorKind::Invalid)
    /// for a name that appears twice.
    pub(super) fn of(schema: &Schema) -> Result<Self> {
        if schema.fields().is_empty() {
            return Err(Error::invalid("the table would have no columns"));
        }
        let mut seen = HashSet::new();
        let (mut names, mut types) = (Vec::new(), Vec::new());
        for field in schema.fields() {
            let name = names::column(field.name())?;
            if !seen.insert(name.clone()) {
                return Err(Error::invalid(format!("the column {name} appears twice; Snowflake ignores case")));
            }
            let data_type = declared(field.data_type()).ok_or_else(|| {
                let data_type = field.data_type();
                Error::unsupported(format!("the column {name} has the type {data_type}, which Snowflake has none for"))
            })?;
            names.push(name);
            types.push(data_type);
        }
        Ok(Columns { names, types })
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// What stands in the brackets of `create table`.
    pub(super) fn definitions(&self) -> String {
        self.names
            .iter()
            .zip(&self.types)
            .map(|(name, data_type)| format!("{name} {data_type}"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    pub(super) fn names(&self) -> String {
        self.names.join(", ")
    }

    /// An `insert` of this many rows, or of rows that are bound as columns.
    pub(super) fn insert(&self, table: &str, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.len()].join(", "));
        format!("insert into {table} ({}) values {}", self.names(), vec![row; rows].join(", "))
    }
}

fn declared(data_type: &DataType) -> Option<String> {
    use DataType as T;
    let number = |digits: u8| format!("number({digits}, 0)");
    Some(match data_type {
        T::Boolean => "boolean".to_owned(),
        T::Int8 | T::UInt8 => number(3),
        T::Int16 | T::UInt16 => number(5),
        T::Int32 | T::UInt32 => number(10),
        T::Int64 => number(19),
        T::UInt64 => number(20),
        T::Float16 | T::Float32 | T::Float64 => "float".to_owned(),
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) | T::Decimal128(precision, scale)
            if *scale >= 0 && *precision <= 38 =>
        {
            format!("number({precision}, {scale})")
        }
        T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Null => "varchar".to_owned(),
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => "binary".to_owned(),
        T::Date32 | T::Date64 => "date".to_owned(),
        T::Time32(unit) | T::Time64(unit) => format!("time({})", digits(*unit)),
        T::Timestamp(unit, None) => format!("timestamp_ntz({})", digits(*unit)),
        T::Timestamp(unit, Some(_)) => format!("timestamp_tz({})", digits(*unit)),
        T::Dictionary(_, values) => return declared(values),
        _ => return None,
    })
}

/// The digits after the point of a second.
fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// The values of a column, as text, and the type that Snowflake reads them as.
pub(super) type Texts = (&'static str, Vec<Option<String>>);

/// The values of a batch as Snowflake reads them: a type and a text for each. Text becomes what its column is.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for a value that has no text, with the column's name.
pub(super) fn values(batch: &RecordBatch) -> Result<Vec<Texts>> {
    let fields = batch.schema_ref().fields();
    let columns = fields.iter().zip(batch.columns());
    columns
        .map(|(field, array)| texts(array).with_context(|| format!("writing the column `{}`", field.name())))
        .collect()
}

fn texts(array: &ArrayRef) -> Result<Texts> {
    use DataType as T;
    let plain = |array: &dyn Array| -> Result<Vec<Option<String>>> {
        Ok(cast(array, &T::Utf8)?.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
    };
    Ok(match array.data_type() {
        T::Null => ("TEXT", vec![None; array.len()]),
        T::Dictionary(_, values) => return texts(&cast(array, values)?),
        T::Float16 | T::Float32 | T::Float64 => {
            let numbers = cast(array, &T::Float64)?;
            let text = |number: f64| match number {
                number if number.is_nan() => "NaN".to_owned(),
                number if number.is_infinite() => if number > 0.0 { "inf" } else { "-inf" }.to_owned(),
                number => format!("{number:?}"),
            };
            ("TEXT", numbers.as_primitive::<Float64Type>().iter().map(|number| number.map(text)).collect())
        }
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => {
            let bytes = cast(array, &T::Binary)?;
            let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
            ("BINARY", bytes.as_binary::<i32>().iter().map(|bytes| bytes.map(hexadecimal)).collect())
        }
        T::Date64 => ("TEXT", plain(&cast(array, &T::Date32)?)?),
        T::Timestamp(unit, Some(_)) => {
            // The values are instants in UTC whatever the zone, which may be a name that only a time zone database
            // knows.
            let utc = array.to_data().into_builder().data_type(T::Timestamp(*unit, None));
            let texts = plain(&make_array(utc.build()?))?;
            ("TEXT", texts.into_iter().map(|text| text.map(|text| text + "+00:00")).collect())
        }
        _ => ("TEXT", plain(array)?),
    })
}

fn cast(array: &dyn Array, to: &DataType) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &strict).map_err(|error| match error {
        // A value that does not fit is the data's fault.
        ArrowError::CastError(message) => Error::invalid(message),
        other => Error::from(other),
    })
}

/// One parameter a value, row by row.
pub(super) fn by_row(columns: Vec<Texts>, rows: usize) -> Parameters {
    let mut parameters = Parameters::default();
    for row in 0..rows {
        for (kind, texts) in &columns {
            // What is null has no type.
            let text = texts[row].clone();
            parameters.push(if text.is_some() { kind } else { "TEXT" }, text);
        }
    }
    parameters
}

/// One parameter a column.
pub(super) fn by_column(columns: Vec<Texts>) -> Parameters {
    let mut parameters = Parameters::default();
    for (kind, texts) in columns {
        parameters.push_column(kind, texts);
    }
    parameters
}
