//! Results in Arrow: what Snowflake sends brought to the types of a JSON result.
//!
//! Snowflake sends numbers in as few bits as they need, as multiples of the last digit, and times as a number or as
//! a struct of `epoch`, `fraction` and `timezone`; both differ between the pieces of one result.

use super::types::{Column, Kind};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, RecordBatchOptions, StructArray,
        Time64NanosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    },
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Int64Type, SchemaRef, TimeUnit},
    ipc::reader::StreamReader,
};
use mlx_core::prelude::*;
use std::sync::Arc;

/// Reads a piece of a result: an Arrow IPC stream, or nothing at all.
///
/// # Errors
/// [`Failed`](ErrorKind::Failed) for what is no such stream, ends in the middle, or has other columns.
pub(super) fn read(columns: &[Column], schema: &SchemaRef, bytes: &[u8]) -> Result<Vec<RecordBatch>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let unreadable =
        |error| Error::wrap(error).context("reading what Snowflake sent as Arrow").with_kind(ErrorKind::Failed);
    let reader = StreamReader::try_new(bytes, None).map_err(unreadable)?;
    reader.map(|batch| normalised(columns, schema, &batch.map_err(unreadable)?)).collect()
}

fn normalised(columns: &[Column], schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    if batch.num_columns() != columns.len() {
        let (found, expected) = (batch.num_columns(), columns.len());
        return Err(Error::failed(format!("Snowflake sent {found} columns where it described {expected}")));
    }
    let arrays =
        columns.iter().zip(batch.columns()).map(|(column, array)| normal(column, array)).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?)
}

fn normal(column: &Column, array: &ArrayRef) -> Result<ArrayRef> {
    let wanted = column.kind.data_type();
    match (column.kind, array.data_type()) {
        (_, found) if *found == wanted => Ok(array.clone()),
        (Kind::Decimal { precision, scale }, found) if found.is_integer() => {
            let decimals: Decimal128Array = integers(column, array)?.unary(i128::from);
            Ok(Arc::new(decimals.with_precision_and_scale(precision, scale)?))
        }
        (Kind::Time { scale }, found) if found.is_integer() => {
            let factor = 10_i64.pow(9 - scale);
            let times = integers(column, array)?;
            let times: Time64NanosecondArray =
                times.try_unary(|time| time.checked_mul(factor).ok_or_else(|| column.unfit()))?;
            Ok(Arc::new(times))
        }
        (Kind::Timestamp { scale, .. }, found) => match found {
            found if found.is_integer() => {
                let DataType::Timestamp(unit, zone) = wanted else { return Err(column.unfit()) };
                let times = integers(column, array)?;
                // Microseconds where the scale is at most 6.
                Ok(match unit {
                    TimeUnit::Microsecond => {
                        let factor = 10_i64.pow(6 - scale);
                        let times: TimestampMicrosecondArray =
                            times.try_unary(|time| time.checked_mul(factor).ok_or_else(|| column.unfit()))?;
                        Arc::new(times.with_timezone_opt(zone))
                    }
                    _ => {
                        let factor = 10_i64.pow(9 - scale);
                        let times: TimestampNanosecondArray =
                            times.try_unary(|time| time.checked_mul(factor).ok_or_else(|| column.too_far()))?;
                        Arc::new(times.with_timezone_opt(zone))
                    }
                })
            }
            DataType::Struct(_) => structs(column, array.as_struct(), scale),
            _ => cast(column, array, &wanted),
        },
        _ => cast(column, array, &wanted),
    }
}

fn cast(column: &Column, array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    // What cannot be cast may be in the message.
    cast_with_options(array, to, &strict).map_err(|_| {
        let (name, found) = (&column.name, array.data_type());
        Error::failed(format!("Snowflake sent the column `{name}` as {found}, which cannot be read as {to}"))
    })
}

fn integers(column: &Column, array: &ArrayRef) -> Result<Int64Array> {
    Ok(cast(column, array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// `epoch` counts seconds where there is a `fraction` in nanoseconds, else it counts the last digit.
fn structs(column: &Column, times: &StructArray, scale: u32) -> Result<ArrayRef> {
    let part = |name: &str| times.column_by_name(name).map(|part| integers(column, part)).transpose();
    let epoch = part("epoch")?.ok_or_else(|| column.unfit())?;
    let fraction = part("fraction")?;
    let unit = if fraction.is_some() { 1_000_000_000 } else { 10_i128.pow(9 - scale) };
    timestamps(
        column,
        (0..times.len()).map(|row| {
            // Some servers mark only the parts of a null as null.
            let there = times.is_valid(row) && epoch.is_valid(row);
            let nanoseconds = fraction.as_ref().map_or(0, |fraction| fraction.value(row));
            there.then(|| i128::from(epoch.value(row)) * unit + i128::from(nanoseconds))
        }),
    )
}

/// Timestamps in the column's unit, from nanoseconds.
fn timestamps(column: &Column, times: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, zone) = column.kind.data_type() else { return Err(column.unfit()) };
    Ok(match unit {
        TimeUnit::Microsecond => {
            let times = times.map(|time| {
                time.map(|time| i64::try_from(time.div_euclid(1000)).map_err(|_| column.unfit())).transpose()
            });
            Arc::new(times.collect::<Result<TimestampMicrosecondArray>>()?.with_timezone_opt(zone))
        }
        _ => {
            let times =
                times.map(|time| time.map(|time| i64::try_from(time).map_err(|_| column.too_far())).transpose());
            Arc::new(times.collect::<Result<TimestampNanosecondArray>>()?.with_timezone_opt(zone))
        }
    })
}
