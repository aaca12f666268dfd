//! Arrow tables into SQLite.

use super::{Deadline, failure, quoted, types};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, LargeBinaryArray, LargeStringArray,
        RecordBatch, make_array,
    },
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Float64Type, Int64Type, Schema},
    error::ArrowError,
};
use mlx_core::{Context, Error, Result, contracts::WriteMode};
use rusqlite::{
    Connection, TransactionBehavior,
    types::{ToSqlOutput, ValueRef},
};
use std::collections::HashSet;

/// Rows after which the deadline is looked at.
const ROWS: usize = 1024;

/// Writes batches of one schema into a table, all of them or, on any failure, nothing. Returns the number of rows.
///
/// # Errors
/// [`Unsupported`](mlx_core::ErrorKind::Unsupported) for a type that SQLite cannot hold,
/// [`Invalid`](mlx_core::ErrorKind::Invalid) for a value it cannot hold and for what SQLite rejects, both with the
/// column's name.
pub(crate) fn write(
    connection: &mut Connection,
    table: &str,
    schema: &Schema,
    batches: impl IntoIterator<Item = Result<RecordBatch>>,
    mode: WriteMode,
    deadline: &Deadline,
) -> Result<u64> {
    let fail = |error| failure(error, deadline);
    let definitions = definitions(table, schema)?;
    let table = quoted(table);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let create = match mode {
        WriteMode::Append => format!("create table if not exists {table} ({definitions})"),
        WriteMode::Create => format!("create table {table} ({definitions})"),
        WriteMode::Replace => {
            transaction.execute(&format!("drop table if exists {table}"), []).map_err(fail)?;
            format!("create table {table} ({definitions})")
        }
    };
    transaction.execute(&create, []).map_err(fail)?;

    let names: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
    let places = vec!["?"; names.len()].join(", ");
    let insert = format!("insert into {table} ({}) values ({places})", names.join(", "));
    let mut written = 0;
    {
        let mut statement = transaction.prepare(&insert).map_err(fail)?;
        for batch in batches {
            let batch = batch?;
            let columns = schema
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, array)| {
                    Cells::of(array).with_context(|| format!("writing the column `{}`", field.name()))
                })
                .collect::<Result<Vec<Cells>>>()?;
            for row in 0..batch.num_rows() {
                if row % ROWS == 0 {
                    deadline.check()?;
                }
                for (index, cells) in columns.iter().enumerate() {
                    statement.raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(cells.get(row))).map_err(fail)?;
                }
                statement.raw_execute().map_err(fail)?;
                written += 1;
            }
        }
    }
    transaction.commit().map_err(fail)?;
    Ok(written)
}

/// The columns of `create table`.
fn definitions(table: &str, schema: &Schema) -> Result<String> {
    if table.is_empty() {
        return Err(Error::invalid("a table needs a name"));
    }
    if schema.fields().is_empty() {
        return Err(Error::invalid(format!("the table `{table}` would have no columns")));
    }
    let mut seen = HashSet::new();
    let mut definitions = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let name = field.name();
        // As SQLite compares them.
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(Error::invalid(format!("the column `{name}` appears twice; SQLite ignores case")));
        }
        let Some(declared) = types::declared(field.data_type()) else {
            let data_type = field.data_type();
            return Err(Error::unsupported(format!(
                "the column `{name}` has the type {data_type}, which SQLite cannot hold"
            )));
        };
        definitions.push(format!("{} {declared}", quoted(name)));
    }
    Ok(definitions.join(", "))
}

/// A column in a form that SQLite takes.
enum Cells {
    Null,
    Boolean(BooleanArray),
    Integer(Int64Array),
    Real(Float64Array),
    Text(LargeStringArray),
    Blob(LargeBinaryArray),
}

impl Cells {
    fn of(array: &ArrayRef) -> Result<Self> {
        use DataType as T;
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let cast = |array: &dyn Array, to: &DataType| {
            cast_with_options(array, to, &strict).map_err(|error| match error {
                // A value that does not fit is the data's fault.
                ArrowError::CastError(message) => Error::invalid(message),
                other => Error::from(other),
            })
        };
        let texts = |array: &dyn Array| Ok(Cells::Text(cast(array, &T::LargeUtf8)?.as_string().clone()));
        match array.data_type() {
            T::Null => Ok(Cells::Null),
            T::Boolean => Ok(Cells::Boolean(array.as_boolean().clone())),
            T::Dictionary(_, values) => Cells::of(&cast(array, values)?),
            T::Date64 => texts(&cast(array, &T::Date32)?),
            T::Timestamp(unit, Some(_)) => {
                // The values are instants in UTC whatever the zone, and the zone may be a name that only a time zone
                // database knows.
                let utc = array.to_data().into_builder().data_type(T::Timestamp(*unit, Some("+00:00".into())));
                texts(&make_array(utc.build()?))
            }
            T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Date32 | T::Time32(_) | T::Time64(_) | T::Timestamp(_, None) => {
                texts(array)
            }
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => {
                Ok(Cells::Blob(cast(array, &T::LargeBinary)?.as_binary().clone()))
            }
            integer if integer.is_integer() => {
                Ok(Cells::Integer(cast(array, &T::Int64)?.as_primitive::<Int64Type>().clone()))
            }
            number if number.is_floating() || number.is_decimal() => {
                Ok(Cells::Real(cast(array, &T::Float64)?.as_primitive::<Float64Type>().clone()))
            }
            other => Err(Error::unsupported(format!("SQLite cannot hold the type {other}"))),
        }
    }

    fn get(&self, row: usize) -> ValueRef<'_> {
        macro_rules! value {
            ($array:expr, $value:expr) => {
                if $array.is_null(row) { ValueRef::Null } else { $value($array.value(row)) }
            };
        }
        match self {
            Cells::Null => ValueRef::Null,
            Cells::Boolean(array) => value!(array, |value| ValueRef::Integer(i64::from(value))),
            Cells::Integer(array) => value!(array, ValueRef::Integer),
            Cells::Real(array) => value!(array, ValueRef::Real),
            Cells::Text(array) => value!(array, ValueRef::from),
            Cells::Blob(array) => value!(array, ValueRef::Blob),
        }
    }
}
