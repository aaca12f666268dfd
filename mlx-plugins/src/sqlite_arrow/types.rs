//! Declared column types, in both directions.

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Int64Type, TimeUnit},
};
use std::sync::Arc;

/// The zone of timestamps that carry one: SQLite stores the instant, in UTC.
const UTC: &str = "+00:00";

/// What a column is declared as to hold values of an Arrow type; `None` if SQLite cannot hold them.
pub(super) fn declared(data_type: &DataType) -> Option<&'static str> {
    use DataType as T;
    Some(match data_type {
        T::Null => "",
        T::Boolean => "BOOLEAN",
        T::Float16 | T::Float32 | T::Float64 => "REAL",
        T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Time32(_) | T::Time64(_) => "TEXT",
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => "BLOB",
        T::Date32 | T::Date64 => "DATE",
        T::Timestamp(unit, zone) => match (unit, zone) {
            (TimeUnit::Second, None) => "TIMESTAMP(0)",
            (TimeUnit::Millisecond, None) => "TIMESTAMP(3)",
            (TimeUnit::Microsecond, None) => "TIMESTAMP(6)",
            (TimeUnit::Nanosecond, None) => "TIMESTAMP(9)",
            (TimeUnit::Second, Some(_)) => "TIMESTAMPTZ(0)",
            (TimeUnit::Millisecond, Some(_)) => "TIMESTAMPTZ(3)",
            (TimeUnit::Microsecond, Some(_)) => "TIMESTAMPTZ(6)",
            (TimeUnit::Nanosecond, Some(_)) => "TIMESTAMPTZ(9)",
        },
        T::Dictionary(_, values) => declared(values)?,
        integer if integer.is_integer() => "INTEGER",
        decimal if decimal.is_decimal() => "REAL",
        _ => return None,
    })
}

/// The Arrow type that a declaration promises, by SQLite's own rules of affinity
/// (<https://www.sqlite.org/datatype3.html>, section 3.1) after the names that have a meaning in Arrow. `None` where
/// only the values can tell.
pub(super) fn promised(declaration: &str) -> Option<DataType> {
    let declaration = declaration.trim().to_ascii_uppercase();
    let (name, digits) = declaration.split_once('(').unwrap_or((&declaration, "6)"));
    let unit = match digits.trim_end_matches(')').trim() {
        "0" => TimeUnit::Second,
        "3" => TimeUnit::Millisecond,
        "9" => TimeUnit::Nanosecond,
        _ => TimeUnit::Microsecond,
    };
    match name.trim() {
        "BOOLEAN" | "BOOL" => return Some(DataType::Boolean),
        "DATE" => return Some(DataType::Date32),
        "TIMESTAMP" | "DATETIME" => return Some(DataType::Timestamp(unit, None)),
        "TIMESTAMPTZ" => return Some(DataType::Timestamp(unit, Some(UTC.into()))),
        "NUMERIC" | "DECIMAL" => return None,
        _ => {}
    }
    let has = |part: &str| declaration.contains(part);
    if has("INT") {
        Some(DataType::Int64)
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Some(DataType::Utf8)
    } else if has("BLOB") {
        Some(DataType::Binary)
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        Some(DataType::Float64)
    } else {
        None
    }
}

/// The array as the type that its column's declaration promises, if every value is exactly of that type.
pub(super) fn refined(array: &ArrayRef, promised: &DataType) -> Option<ArrayRef> {
    match (promised, array.data_type()) {
        (DataType::Boolean, DataType::Int64) => {
            let numbers = array.as_primitive::<Int64Type>();
            let booleans = numbers.iter().all(|number| matches!(number, None | Some(0 | 1)));
            booleans.then(|| Arc::new(numbers.iter().map(|n| n.map(|n| n == 1)).collect::<BooleanArray>()) as ArrayRef)
        }
        (DataType::Date32 | DataType::Timestamp(..), DataType::Utf8) => {
            let texts = array.as_string::<i32>();
            let exact = texts.iter().flatten().all(|text| is_exact(text, promised));
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            exact.then(|| cast_with_options(texts, promised, &strict).ok()).flatten()
        }
        // A column without a value is of any type.
        (_, DataType::Null) => Some(arrow::array::new_null_array(promised, array.len())),
        _ => None,
    }
}

/// Whether a date or timestamp says neither more nor less than the type holds: the cast would drop a time of day, a
/// zone or digits.
fn is_exact(text: &str, data_type: &DataType) -> bool {
    let DataType::Timestamp(unit, zone) = data_type else { return text.len() == 10 };
    let Some(time) = text.get(11..) else { return false };
    let zoned = time.contains(['Z', 'z', '+', '-']);
    let digits = time.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    let held = match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    zoned == zone.is_some() && digits <= held
}
