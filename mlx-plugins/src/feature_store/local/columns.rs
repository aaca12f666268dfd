//! Arrow columns as the values that are stored, and back.

use mlx_core::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, new_null_array,
        },
        compute::{CastOptions, cast_with_options},
        datatypes::{DataType, Float64Type, Int64Type, TimeUnit},
        error::ArrowError,
    },
    prelude::*,
};
use std::sync::Arc;

/// What a type is stored as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    Truth,
    Whole,
    Number,
    Text,
    /// A whole number of the type's units.
    Time,
}

/// The types that can be stored, without timestamps, which have a unit and a zone.
const NAMES: [(&str, DataType); 11] = [
    ("bool", DataType::Boolean),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("string", DataType::Utf8),
];

const UNITS: [(&str, TimeUnit, i64); 4] = [
    ("s", TimeUnit::Second, 1_000_000_000),
    ("ms", TimeUnit::Millisecond, 1_000_000),
    ("us", TimeUnit::Microsecond, 1_000),
    ("ns", TimeUnit::Nanosecond, 1),
];

fn stored(data_type: &DataType) -> Option<Stored> {
    Some(match data_type {
        DataType::Boolean => Stored::Truth,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Stored::Whole,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Stored::Whole,
        DataType::Float32 | DataType::Float64 => Stored::Number,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Stored::Text,
        DataType::Timestamp(..) => Stored::Time,
        _ => return None,
    })
}

/// The name that a type is written as in the definition of a view; `None` for one that cannot be stored.
pub(super) fn name(data_type: &DataType) -> Option<String> {
    if let DataType::Timestamp(unit, zone) = data_type {
        let (unit, ..) = UNITS.iter().find(|known| known.1 == *unit)?;
        return Some(match zone {
            Some(zone) => format!("timestamp[{unit}, {zone}]"),
            None => format!("timestamp[{unit}]"),
        });
    }
    NAMES.iter().find(|(_, known)| known == data_type).map(|(name, _)| (*name).to_owned())
}

/// The types that there are, for messages.
pub(super) fn known() -> String {
    let names = NAMES.map(|(_, data_type)| format!("{data_type:?}"));
    format!("{} or Timestamp", names.join(", "))
}

/// The type of a name.
pub(super) fn parse(name: &str) -> Option<DataType> {
    if let Some(parts) = name.strip_prefix("timestamp[").and_then(|parts| parts.strip_suffix(']')) {
        let (unit, zone) = parts.split_once(", ").map_or((parts, None), |(unit, zone)| (unit, Some(zone.into())));
        let (_, unit, _) = UNITS.iter().find(|known| known.0 == unit)?;
        return Some(DataType::Timestamp(*unit, zone));
    }
    NAMES.iter().find(|known| known.0 == name).map(|(_, data_type)| data_type.clone())
}

/// A type for messages.
pub(super) fn describe(data_type: &DataType) -> String {
    name(data_type).unwrap_or_else(|| data_type.to_string())
}

/// Whether a type can say what a row is about: numbers with fractions cannot, because they are hardly ever the same.
pub(super) fn can_be_entity(data_type: &DataType) -> bool {
    stored(data_type).is_some_and(|stored| stored != Stored::Number)
}

/// Casts that fail where a value does not fit.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: mlx_core::arrow::util::display::FormatOptions::new() };

/// A column whose values can be stored.
pub(super) struct Column {
    stored: Stored,
    array: ArrayRef,
}

impl Column {
    /// The column of this name as one of this type. Numbers may have another width.
    ///
    /// # Errors
    /// What is wrong with the column.
    pub(super) fn of(batch: &RecordBatch, name: &str, data_type: &DataType) -> Result<Column, String> {
        let column = batch.column_by_name(name).ok_or_else(|| format!("the column `{name}` is missing"))?;
        let unfit = || {
            let found = describe(column.data_type());
            format!("the column `{name}` is of type {found}, and the view has {}", describe(data_type))
        };
        let found = match column.data_type() {
            // A column in which nothing is known.
            DataType::Null => stored(data_type),
            DataType::Dictionary(_, values) => stored(values),
            found => stored(found),
        };
        let stored = stored(data_type).filter(|wanted| Some(*wanted) == found).ok_or_else(unfit)?;
        let cast = |array: &ArrayRef, to: &DataType| {
            cast_with_options(array, to, &STRICT)
                .map_err(|error| format!("a value of the column `{name}` does not fit: {error}"))
        };
        let array = cast(column, data_type)?;
        let array = match stored {
            Stored::Truth => array,
            Stored::Whole | Stored::Time => cast(&array, &DataType::Int64)?,
            Stored::Number => cast(&array, &DataType::Float64)?,
            Stored::Text => cast(&array, &DataType::Utf8)?,
        };
        Ok(Column { stored, array })
    }

    /// The value of a row; null where there is none.
    pub(super) fn value(&self, row: usize) -> JsonValue {
        if self.array.is_null(row) {
            return JsonValue::Null;
        }
        match self.stored {
            Stored::Truth => self.array.as_boolean().value(row).into(),
            Stored::Whole | Stored::Time => self.array.as_primitive::<Int64Type>().value(row).into(),
            Stored::Text => self.array.as_string::<i32>().value(row).into(),
            Stored::Number => match self.array.as_primitive::<Float64Type>().value(row) {
                number if number.is_finite() => number.into(),
                // JSON has no such numbers.
                other => other.to_string().into(),
            },
        }
    }
}

/// Stored values as a column of this type.
///
/// # Errors
/// What does not fit, which is damage on the disk.
pub(super) fn array(values: &[Option<JsonValue>], data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let unfit = |value: &JsonValue| ArrowError::CastError(format!("{value} is stored where {data_type} is expected"));
    fn collect<T, A: FromIterator<Option<T>>>(
        values: &[Option<JsonValue>],
        read: impl Fn(&JsonValue) -> Option<T>,
        unfit: impl Fn(&JsonValue) -> ArrowError,
    ) -> Result<A, ArrowError> {
        let read = |value: &Option<JsonValue>| match value {
            None | Some(JsonValue::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| unfit(value)),
        };
        values.iter().map(read).collect()
    }
    let number = |value: &JsonValue| match value {
        JsonValue::String(text) => text.parse().ok(),
        value => value.as_f64(),
    };
    let array: ArrayRef = match stored(data_type) {
        Some(Stored::Truth) => Arc::new(collect::<_, BooleanArray>(values, JsonValue::as_bool, unfit)?),
        Some(Stored::Whole | Stored::Time) => Arc::new(collect::<_, Int64Array>(values, JsonValue::as_i64, unfit)?),
        Some(Stored::Number) => Arc::new(collect::<_, Float64Array>(values, number, unfit)?),
        Some(Stored::Text) => {
            let text = |value: &JsonValue| value.as_str().map(str::to_owned);
            Arc::new(collect::<_, StringArray>(values, text, unfit)?)
        }
        None => new_null_array(data_type, values.len()),
    };
    cast_with_options(&array, data_type, &STRICT)
}

/// A column of timestamps as nanoseconds since 1970.
///
/// # Errors
/// What is wrong with the column.
pub(super) fn times(batch: &RecordBatch, name: &str) -> Result<Vec<i64>, String> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("the column `{name}` is missing"))?;
    let DataType::Timestamp(unit, _) = column.data_type() else {
        let found = describe(column.data_type());
        return Err(format!("the column `{name}` is of type {found}, and holds times: make it an Arrow timestamp"));
    };
    let scale = UNITS.iter().find(|known| known.1 == *unit).map_or(1, |known| known.2);
    // What is stored is in UTC whatever the zone.
    let units = cast_with_options(column, &DataType::Int64, &STRICT).map_err(|error| error.to_string())?;
    let units: &Int64Array = units.as_primitive();
    let time = |(row, value): (usize, Option<i64>)| match value {
        None => Err(format!("row {row} has no `{name}`")),
        Some(value) => value
            .checked_mul(scale)
            .ok_or_else(|| format!("`{name}` of row {row} is not within the years 1677 to 2262")),
    };
    units.iter().enumerate().map(time).collect()
}

/// The text that stands for the entities of a row; `None` where one of them is not known.
pub(super) fn key(entities: &[Column], row: usize) -> Option<String> {
    let values: Vec<JsonValue> = entities.iter().map(|column| column.value(row)).collect();
    (!values.contains(&JsonValue::Null)).then(|| JsonValue::Array(values).to_string())
}
