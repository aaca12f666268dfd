//! Query results as Arrow.

use super::{Deadline, failure, parameters::bind, types};
use arrow::{
    array::{
        Array, ArrayRef, BinaryBuilder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder,
        new_null_array,
    },
    compute::cast,
    datatypes::{DataType, Field, Schema},
};
use mlx_core::{Error, Result, contracts::DataFrame};
use rusqlite::{Connection, types::Value, types::ValueRef};
use std::sync::Arc;

/// Rows of a batch.
const ROWS: usize = 8192;
/// Bytes after which a batch ends early, well below the 2 GiB that a text column can address.
const BYTES: usize = 256 << 20;

/// Answers one statement. A statement without a result, such as `insert`, gives a table without columns.
///
/// A column is of its declared type if it has one and all values agree. Else the values decide: integers, numbers,
/// text, or binary if there is any; a column of nulls that is declared as nothing is `Null`.
///
/// # Errors
/// [`Invalid`](mlx_core::ErrorKind::Invalid) for what SQLite rejects, and for text that is not UTF-8.
pub(crate) fn query(
    connection: &Connection,
    sql: &str,
    parameters: &[serde_json::Value],
    deadline: &Deadline,
) -> Result<DataFrame> {
    let fail = |error| failure(error, deadline);
    let mut statement = connection.prepare(sql).map_err(fail)?;
    bind(&mut statement, parameters, deadline)?;
    if statement.column_count() == 0 {
        // Nothing but white space and comments makes no statement at all.
        if statement.expanded_sql().is_none() {
            return Err(Error::invalid("the query is empty"));
        }
        statement.raw_execute().map_err(fail)?;
        return Ok(DataFrame::empty(Arc::new(Schema::empty())));
    }
    let mut columns: Vec<Column> = statement
        .columns()
        .map(|column| Column::new(column.name(), column.decl_type().and_then(types::promised)))
        .collect();
    let mut sizes = Vec::new();
    let (mut rows_in_batch, mut bytes_in_batch) = (0, 0);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(fail)? {
        for (index, column) in columns.iter_mut().enumerate() {
            bytes_in_batch += column.push(row.get_ref(index).map_err(fail)?)?;
        }
        rows_in_batch += 1;
        if rows_in_batch == ROWS || bytes_in_batch >= BYTES {
            deadline.check()?;
            columns.iter_mut().for_each(Column::end_batch);
            sizes.push(rows_in_batch);
            (rows_in_batch, bytes_in_batch) = (0, 0);
        }
    }
    if rows_in_batch > 0 {
        columns.iter_mut().for_each(Column::end_batch);
        sizes.push(rows_in_batch);
    }

    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for column in columns {
        let (field, parts) = column.finish()?;
        fields.push(field);
        arrays.push(parts.into_iter());
    }
    let schema = Arc::new(Schema::new(fields));
    let batches = sizes
        .into_iter()
        .map(|size| {
            let options = RecordBatchOptions::new().with_row_count(Some(size));
            let parts = arrays.iter_mut().filter_map(Iterator::next).collect();
            Ok(RecordBatch::try_new_with_options(schema.clone(), parts, &options)?)
        })
        .collect::<Result<Vec<_>>>()?;
    DataFrame::new(schema, batches)
}

/// The storage classes of SQLite, in the order in which one can hold those before it.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Class {
    Null,
    Integer,
    Real,
    Text,
    Blob,
}

impl Class {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Class::Null,
            ValueRef::Integer(_) => Class::Integer,
            ValueRef::Real(_) => Class::Real,
            ValueRef::Text(_) => Class::Text,
            ValueRef::Blob(_) => Class::Blob,
        }
    }

    /// The class that values of a type are stored as.
    fn storing(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int64 => Class::Integer,
            DataType::Float64 => Class::Real,
            DataType::Utf8 => Class::Text,
            // Booleans and dates hold what they hold: nothing forces their values into a class.
            _ => Class::Null,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Class::Null => DataType::Null,
            Class::Integer => DataType::Int64,
            Class::Real => DataType::Float64,
            Class::Text => DataType::Utf8,
            Class::Blob => DataType::Binary,
        }
    }
}

/// The values of one column in one batch.
enum Part {
    Null(usize),
    Integer(Int64Builder),
    Real(Float64Builder),
    Text(StringBuilder),
    Blob(BinaryBuilder),
    /// Values of several classes are kept as they are until the column's type is known.
    Mixed(Vec<Value>),
}

struct Column {
    name: String,
    promised: Option<DataType>,
    highest: Class,
    part: Part,
    done: Vec<Part>,
}

impl Column {
    fn new(name: &str, promised: Option<DataType>) -> Self {
        Column { name: name.to_owned(), promised, highest: Class::Null, part: Part::Null(0), done: Vec::new() }
    }

    /// Adds a value, and returns its size in bytes.
    fn push(&mut self, value: ValueRef<'_>) -> Result<usize> {
        let class = Class::of(value);
        if class > self.highest {
            self.highest = class;
        }
        let text = |bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) => Err(Error::invalid(format!(
                "the column `{}` has text that is not UTF-8; read it as `cast(… as blob)`",
                self.name
            ))),
        };
        match (&mut self.part, value) {
            (Part::Null(nulls), ValueRef::Null) => *nulls += 1,
            (Part::Integer(part), ValueRef::Integer(number)) => part.append_value(number),
            (Part::Integer(part), ValueRef::Null) => part.append_null(),
            (Part::Real(part), ValueRef::Real(number)) => part.append_value(number),
            (Part::Real(part), ValueRef::Null) => part.append_null(),
            (Part::Text(part), ValueRef::Text(bytes)) => part.append_value(text(bytes)?),
            (Part::Text(part), ValueRef::Null) => part.append_null(),
            (Part::Blob(part), ValueRef::Blob(bytes)) => part.append_value(bytes),
            (Part::Blob(part), ValueRef::Null) => part.append_null(),
            (Part::Mixed(part), value) => {
                part.push(match value {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => Value::Integer(number),
                    ValueRef::Real(number) => Value::Real(number),
                    ValueRef::Text(bytes) => Value::Text(text(bytes)?.to_owned()),
                    ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
                });
            }
            (Part::Null(nulls), _) => {
                let nulls = *nulls;
                self.part = Part::after_nulls(nulls, class);
                return self.push(value);
            }
            _ => {
                let values = std::mem::replace(&mut self.part, Part::Null(0)).into_values();
                self.part = Part::Mixed(values);
                return self.push(value);
            }
        }
        Ok(match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
            _ => 8,
        })
    }

    fn end_batch(&mut self) {
        self.done.push(std::mem::replace(&mut self.part, Part::Null(0)));
    }

    /// The column's field and its array in each batch.
    fn finish(self) -> Result<(Field, Vec<ArrayRef>)> {
        let least = self.promised.as_ref().map_or(Class::Null, Class::storing);
        let class = if least > self.highest { least } else { self.highest };
        let mut data_type = class.data_type();
        let mut arrays = self.done.into_iter().map(|part| part.into_array(class)).collect::<Result<Vec<ArrayRef>>>()?;
        if let Some(promised) = self.promised.filter(|promised| *promised != data_type)
            && let Some(refined) = arrays.iter().map(|array| types::refined(array, &promised)).collect::<Option<_>>()
        {
            arrays = refined;
            data_type = promised;
        }
        Ok((Field::new(self.name, data_type, true), arrays))
    }
}

impl Part {
    /// A part for values of a class, which begins with nulls.
    fn after_nulls(nulls: usize, class: Class) -> Part {
        macro_rules! part {
            ($part:ident, $builder:ident) => {{
                let mut builder = $builder::new();
                (0..nulls).for_each(|_| builder.append_null());
                Part::$part(builder)
            }};
        }
        match class {
            Class::Null => Part::Null(nulls),
            Class::Integer => part!(Integer, Int64Builder),
            Class::Real => part!(Real, Float64Builder),
            Class::Text => part!(Text, StringBuilder),
            Class::Blob => part!(Blob, BinaryBuilder),
        }
    }

    fn into_values(self) -> Vec<Value> {
        macro_rules! values {
            ($builder:ident, $value:expr) => {
                $builder.finish().iter().map(|value| value.map_or(Value::Null, $value)).collect()
            };
        }
        match self {
            Part::Null(nulls) => vec![Value::Null; nulls],
            Part::Integer(mut part) => values!(part, Value::Integer),
            Part::Real(mut part) => values!(part, Value::Real),
            Part::Text(mut part) => values!(part, |text: &str| Value::Text(text.to_owned())),
            Part::Blob(mut part) => values!(part, |bytes: &[u8]| Value::Blob(bytes.to_owned())),
            Part::Mixed(values) => values,
        }
    }

    /// The values as an array of the class, which is at least as high as any of theirs.
    fn into_array(self, class: Class) -> Result<ArrayRef> {
        let data_type = class.data_type();
        let array: ArrayRef = match self {
            Part::Null(nulls) => return Ok(new_null_array(&data_type, nulls)),
            Part::Integer(mut part) => Arc::new(part.finish()),
            Part::Real(mut part) => Arc::new(part.finish()),
            Part::Text(mut part) => Arc::new(part.finish()),
            Part::Blob(mut part) => Arc::new(part.finish()),
            Part::Mixed(values) => return Ok(mixed(values, class)),
        };
        match (array.data_type(), &data_type) {
            (from, to) if from == to => Ok(array),
            (DataType::Int64 | DataType::Float64, DataType::Binary) => {
                Ok(cast(&cast(&array, &DataType::Utf8)?, &data_type)?)
            }
            _ => Ok(cast(&array, &data_type)?),
        }
    }
}

/// Values of several classes as the highest of them.
fn mixed(values: Vec<Value>, class: Class) -> ArrayRef {
    let text = |value: Value| match value {
        Value::Null => None,
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        // As Arrow writes numbers, so that a value looks the same in a batch of its own kind.
        Value::Real(number) => Some(format!("{number:?}").into_bytes()),
        Value::Text(text) => Some(text.into_bytes()),
        Value::Blob(bytes) => Some(bytes),
    };
    match class {
        Class::Null | Class::Integer | Class::Real => {
            let mut builder = Float64Builder::with_capacity(values.len());
            for value in values {
                builder.append_option(match value {
                    Value::Integer(number) => Some(number as f64),
                    Value::Real(number) => Some(number),
                    _ => None,
                });
            }
            Arc::new(builder.finish())
        }
        Class::Text => {
            let mut builder = StringBuilder::new();
            for value in values {
                builder.append_option(text(value).and_then(|bytes| String::from_utf8(bytes).ok()));
            }
            Arc::new(builder.finish())
        }
        Class::Blob => {
            let mut builder = BinaryBuilder::new();
            for value in values {
                builder.append_option(text(value));
            }
            Arc::new(builder.finish())
        }
    }
}
