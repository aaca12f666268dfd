//! Snowflake's types as Arrow's, and values as the text of a JSON result.

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
        RecordBatch, RecordBatchOptions, StringBuilder, Time64NanosecondBuilder, TimestampMicrosecondBuilder,
        TimestampNanosecondBuilder,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use mlx_core::{JsonValue, prelude::*};
use serde::{
    Deserialize,
    de::{Deserializer, Visitor},
};
use std::{borrow::Cow, fmt, sync::Arc};

/// The most digits that fit into 64 bits whatever they are.
const INTEGER_DIGITS: i64 = 18;

/// The most digits after the point of a second that are microseconds.
const MICROSECONDS: u32 = 6;

/// The zone of instants: an offset, which needs no time zone database.
const UTC: &str = "+00:00";

/// A column of a result, as its `rowType` describes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What a column holds. `scale` is the digits after the decimal point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Integer,
    Decimal { precision: u8, scale: i8 },
    Real,
    Text,
    Binary,
    Boolean,
    Date,
    Time { scale: u32 },
    Timestamp { scale: u32, zone: Zone },
}

/// What a time is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// None: the time on a clock somewhere (`TIMESTAMP_NTZ`).
    None,
    /// An instant (`TIMESTAMP_LTZ`).
    Instant,
    /// An instant, and the offset of where it was written (`TIMESTAMP_TZ`). The offset is not kept.
    Offset,
}

impl Column {
    /// A column as `rowType` has it.
    ///
    /// # Errors
    /// [`Failed`](ErrorKind::Failed) for one without a name or type.
    pub(super) fn read(row_type: &JsonValue) -> Result<Self> {
        let text = |key: &str| {
            row_type[key].as_str().ok_or_else(|| Error::failed(format!("Snowflake described a column without `{key}`")))
        };
        let (name, declared) = (text("name")?.to_owned(), text("type")?.to_ascii_lowercase());
        let number = |key: &str| row_type[key].as_i64();
        // Nine digits are what Snowflake takes when nothing is said.
        let fraction = || u32::try_from(number("scale").unwrap_or(9)).unwrap_or(9).min(9);
        let kind = match declared.as_str() {
            "fixed" => match (number("precision").unwrap_or(38), number("scale").unwrap_or(0)) {
                (precision, 0) if precision <= INTEGER_DIGITS => Kind::Integer,
                (precision, scale) => Kind::Decimal {
                    precision: precision.clamp(1, 38) as u8,
                    scale: scale.clamp(0, precision.clamp(1, 38)) as i8,
                },
            },
            "real" | "float" | "double" => Kind::Real,
            "binary" => Kind::Binary,
            "boolean" => Kind::Boolean,
            "date" => Kind::Date,
            "time" => Kind::Time { scale: fraction() },
            "timestamp_ntz" | "timestamp" => Kind::Timestamp { scale: fraction(), zone: Zone::None },
            "timestamp_ltz" => Kind::Timestamp { scale: fraction(), zone: Zone::Instant },
            "timestamp_tz" => Kind::Timestamp { scale: fraction(), zone: Zone::Offset },
            // Also variant, object, array, map, vector and geography, which come as JSON, and what may be invented yet.
            _ => Kind::Text,
        };
        Ok(Column { name, kind })
    }

    pub(super) fn read_all(row_types: &JsonValue) -> Result<Vec<Self>> {
        let row_types = row_types.as_array();
        row_types.ok_or_else(|| Error::failed("Snowflake described no columns"))?.iter().map(Column::read).collect()
    }

    pub(super) fn unfit(&self) -> Error {
        // The value is private.
        let (name, data_type) = (&self.name, self.kind.data_type());
        Error::failed(format!("Snowflake sent a value of the column `{name}` that is no {data_type}"))
    }

    /// An instant that nanoseconds cannot count to.
    pub(super) fn too_far(&self) -> Error {
        let name = &self.name;
        Error::unsupported(format!(
            "the column `{name}` has a time outside of the years 1678 to 2261, and 64 bits of nanoseconds go no \
             further: select it with six digits after the point, as `{name}::timestamp_ntz(6)`"
        ))
    }
}

impl Kind {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Kind::Integer => DataType::Int64,
            Kind::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Kind::Real => DataType::Float64,
            Kind::Text => DataType::Utf8,
            Kind::Binary => DataType::Binary,
            Kind::Boolean => DataType::Boolean,
            Kind::Date => DataType::Date32,
            Kind::Time { .. } => DataType::Time64(TimeUnit::Nanosecond),
            Kind::Timestamp { scale, zone } => {
                let unit = if scale <= MICROSECONDS { TimeUnit::Microsecond } else { TimeUnit::Nanosecond };
                DataType::Timestamp(unit, (zone != Zone::None).then(|| UTC.into()))
            }
        }
    }
}

/// Everything may be null: Snowflake says of expressions that they cannot, and is not always right.
pub(super) fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| Field::new(&column.name, column.kind.data_type(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// A value in a JSON result: text or null. Numbers and booleans of sloppy servers are taken for their text.
#[derive(Debug, PartialEq)]
pub(super) struct Cell<'a>(pub(super) Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Cell<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cell<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value as text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cell<'de>, E> {
                Ok(Cell(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Cell<'de>, E> {
                Ok(Cell(Some(Cow::Owned(text.to_owned()))))
            }
            fn visit_unit<E>(self) -> Result<Cell<'de>, E> {
                Ok(Cell(None))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Cell<'de>, E> {
                Ok(Cell(Some(Cow::Owned(value.to_string()))))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Cell<'de>, E> {
                Ok(Cell(Some(Cow::Owned(value.to_string()))))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Cell<'de>, E> {
                Ok(Cell(Some(Cow::Owned(value.to_string()))))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Cell<'de>, E> {
                Ok(Cell(Some(Cow::Owned(value.to_string()))))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// Rows of text as columns of values.
///
/// # Errors
/// [`Failed`](ErrorKind::Failed) for a row with more or fewer values than there are columns, and for a value that is
/// not of its column's type.
pub(super) fn decode(columns: &[Column], schema: &SchemaRef, rows: &[Vec<Cell<'_>>]) -> Result<RecordBatch> {
    if let Some(row) = rows.iter().find(|row| row.len() != columns.len()) {
        let (found, expected) = (row.len(), columns.len());
        return Err(Error::failed(format!(
            "Snowflake sent a row of {found} values where there are {expected} columns"
        )));
    }
    let arrays = columns
        .iter()
        .enumerate()
        .map(|(index, column)| array(column, rows.len(), rows.iter().map(|row| row[index].0.as_deref())))
        .collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?)
}

fn array<'c>(column: &Column, rows: usize, cells: impl Iterator<Item = Option<&'c str>>) -> Result<ArrayRef> {
    macro_rules! collect {
        ($builder:expr, $parse:expr) => {{
            let mut builder = $builder;
            for cell in cells {
                match cell {
                    Some(text) => builder.append_value($parse(text)?),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    let unfit = || column.unfit();
    let scaled = |text: &str, scale| fixed(text, scale).ok_or_else(unfit);
    Ok(match column.kind {
        Kind::Integer => {
            collect!(Int64Builder::with_capacity(rows), |text: &str| text.parse::<i64>().map_err(|_| unfit()))
        }
        Kind::Decimal { precision, scale } => {
            let builder = Decimal128Builder::with_capacity(rows).with_precision_and_scale(precision, scale)?;
            let limit = 10_i128.pow(u32::from(precision));
            collect!(builder, |text: &str| {
                let value = scaled(text, scale as u32)?;
                if value.abs() < limit { Ok(value) } else { Err(unfit()) }
            })
        }
        Kind::Real => {
            collect!(Float64Builder::with_capacity(rows), |text: &str| text.parse::<f64>().map_err(|_| unfit()))
        }
        Kind::Text => collect!(StringBuilder::with_capacity(rows, 16 * rows), Ok::<&str, Error>),
        Kind::Binary => {
            collect!(BinaryBuilder::with_capacity(rows, 16 * rows), |text: &str| bytes(text).ok_or_else(unfit))
        }
        Kind::Boolean => {
            collect!(BooleanBuilder::with_capacity(rows), |text: &str| match text {
                "1" => Ok(true),
                "0" => Ok(false),
                _ if text.eq_ignore_ascii_case("true") => Ok(true),
                _ if text.eq_ignore_ascii_case("false") => Ok(false),
                _ => Err(unfit()),
            })
        }
        Kind::Date => {
            collect!(Date32Builder::with_capacity(rows), |text: &str| text.parse::<i32>().map_err(|_| unfit()))
        }
        Kind::Time { .. } => collect!(Time64NanosecondBuilder::with_capacity(rows), |text: &str| {
            i64::try_from(scaled(text, 9)?).map_err(|_| unfit())
        }),
        Kind::Timestamp { scale, zone } => {
            let utc = (zone != Zone::None).then_some(UTC);
            // A second part is the offset.
            let first = |text: &'c str| text.split(' ').next().unwrap_or_default();
            if scale <= MICROSECONDS {
                let builder = TimestampMicrosecondBuilder::with_capacity(rows).with_timezone_opt(utc);
                collect!(builder, |text| {
                    i64::try_from(scaled(first(text), 9)?.div_euclid(1000)).map_err(|_| unfit())
                })
            } else {
                let builder = TimestampNanosecondBuilder::with_capacity(rows).with_timezone_opt(utc);
                collect!(builder, |text| i64::try_from(scaled(first(text), 9)?).map_err(|_| column.too_far()))
            }
        }
    })
}

/// A decimal number times ten to the power of `scale`; nothing for what is none, or would lose digits.
fn fixed(text: &str, scale: u32) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (kept, rest) = fraction.split_at_checked(scale as usize).unwrap_or((fraction, ""));
    if rest.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(kept.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let value = value.checked_mul(10_i128.checked_pow(scale - kept.len() as u32)?)?;
    Some(if negative { -value } else { value })
}

/// Bytes as pairs of hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.remainder().is_empty().then_some(())?;
    pairs.map(|pair| Some((digit(&pair[0])? * 16 + digit(&pair[1])?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(described: JsonValue) -> Column {
        Column::read(&described).unwrap()
    }

    fn decoded(columns: &[Column], json: &str) -> Result<RecordBatch> {
        let rows: Vec<Vec<Cell<'_>>> = serde_json::from_str(json).unwrap();
        decode(columns, &schema(columns), &rows)
    }

    fn shown(described: JsonValue, value: &str) -> (DataType, String) {
        let columns = [column(described)];
        let batch = decoded(&columns, &format!("[[{value}]]")).unwrap();
        let options = arrow::util::display::FormatOptions::default();
        let text =
            arrow::util::display::ArrayFormatter::try_new(batch.column(0), &options).unwrap().value(0).to_string();
        (batch.column(0).data_type().clone(), text)
    }

    #[test]
    fn every_type_has_its_own_of_arrow() {
        use TimeUnit::{Microsecond, Nanosecond};
        let utc = |unit| DataType::Timestamp(unit, Some(UTC.into()));
        let described = |declared: &str, precision: i64, scale: i64| json!({"name": "C", "type": declared, "precision": precision, "scale": scale});
        for (described, value, data_type, text) in [
            (described("fixed", 18, 0), r#""-999999999999999999""#, DataType::Int64, "-999999999999999999"),
            (
                described("fixed", 38, 0),
                r#""-99999999999999999999999999999999999999""#,
                DataType::Decimal128(38, 0),
                "-99999999999999999999999999999999999999",
            ),
            (described("FIXED", 10, 2), r#""1.5""#, DataType::Decimal128(10, 2), "1.50"),
            (described("fixed", 5, 5), r#""-.00001""#, DataType::Decimal128(5, 5), "-0.00001"),
            (described("real", 0, 0), r#""-1.5e-300""#, DataType::Float64, "-1.5e-300"),
            (described("real", 0, 0), r#""NaN""#, DataType::Float64, "NaN"),
            (described("real", 0, 0), r#""-inf""#, DataType::Float64, "-inf"),
            (described("text", 0, 0), r#""a\"b\u00e9""#, DataType::Utf8, "a\"bé"),
            (described("variant", 0, 0), r#""{\"a\": 1}""#, DataType::Utf8, r#"{"a": 1}"#),
            (described("geography", 0, 0), r#""{}""#, DataType::Utf8, "{}"),
            (described("binary", 0, 0), r#""00fF""#, DataType::Binary, "00ff"),
            (described("boolean", 0, 0), r#""1""#, DataType::Boolean, "true"),
            (described("boolean", 0, 0), "false", DataType::Boolean, "false"),
            (described("date", 0, 0), r#""-719162""#, DataType::Date32, "0001-01-01"),
            (described("date", 0, 0), r#""2932896""#, DataType::Date32, "9999-12-31"),
            (described("time", 0, 9), r#""86399.999999999""#, DataType::Time64(Nanosecond), "23:59:59.999999999"),
            (
                described("timestamp_ntz", 0, 9),
                r#""-0.000000001""#,
                DataType::Timestamp(Nanosecond, None),
                "1969-12-31T23:59:59.999999999",
            ),
            (
                described("timestamp_ntz", 0, 6),
                r#""253402300799.999999000""#,
                DataType::Timestamp(Microsecond, None),
                "9999-12-31T23:59:59.999999",
            ),
            (described("timestamp_ltz", 0, 9), r#""1616173619.5""#, utc(Nanosecond), "2021-03-19T17:06:59.500Z"),
            (
                described("timestamp_tz", 0, 0),
                r#""1616173619.000000000 960""#,
                utc(Microsecond),
                "2021-03-19T17:06:59Z",
            ),
        ] {
            assert_eq!(shown(described.clone(), value), (data_type, text.to_owned()), "{described}");
            assert_eq!(shown(described, "null").1, "");
        }
    }

    #[test]
    fn values_that_are_not_of_their_type_are_failures_that_do_not_show_them() {
        for (declared, precision, scale, value) in [
            ("fixed", 18, 0, "canary"),
            ("fixed", 18, 0, "9999999999999999999"),
            ("fixed", 10, 2, "1.555"),
            ("fixed", 3, 2, "10.00"),
            ("fixed", 38, 0, "1e5"),
            ("fixed", 10, 2, "-"),
            ("fixed", 10, 2, "1.ä"),
            ("real", 0, 0, "canary"),
            ("boolean", 0, 0, "yes"),
            ("binary", 0, 0, "abc"),
            ("binary", 0, 0, "zz"),
            ("date", 0, 0, "2024-01-01"),
            ("time", 0, 9, "12:00"),
            ("timestamp_tz", 0, 9, ""),
        ] {
            let columns = [column(json!({"name": "C", "type": declared, "precision": precision, "scale": scale}))];
            let error = decoded(&columns, &format!("[[{value:?}]]")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Failed, "{declared} {value}");
            assert!(error.to_string().contains("column `C`") && !error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn times_that_nanoseconds_cannot_hold_say_how_to_read_them() {
        let columns = [column(json!({"name": "T", "type": "timestamp_ntz", "scale": 9}))];
        let error = decoded(&columns, r#"[["253402300799.000000000"]]"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("`T::timestamp_ntz(6)`"), "{error}");
    }

    #[test]
    fn rows_have_as_many_values_as_there_are_columns() {
        let columns = [column(json!({"name": "A", "type": "text"})), column(json!({"name": "B", "type": "text"}))];
        for rows in [r#"[["1"]]"#, r#"[["1","2"],["1","2","3"]]"#, "[[]]"] {
            assert_eq!(decoded(&columns, rows).unwrap_err().kind(), ErrorKind::Failed);
        }
        assert_eq!(decoded(&columns, "[]").unwrap().num_rows(), 0);
        assert!(Column::read(&json!({"name": "A"})).is_err() && Column::read_all(&json!(null)).is_err());
    }
}
