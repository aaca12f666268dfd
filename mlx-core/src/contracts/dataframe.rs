//! Tables that plugins exchange.

use crate::diagnostics::{Error, Result};
use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray},
    compute::{cast, concat_batches},
    datatypes::{DataType, Field, Float64Type, Schema, SchemaRef},
    util::{
        display::{ArrayFormatter, FormatOptions},
        pretty::pretty_format_batches,
    },
};
use std::{fmt, sync::Arc};

/// A table: Arrow record batches of one schema. Cloning it copies no data.
///
/// Arrow is the data contract of the framework: a batch from SQLite, DataFusion or Spark Connect is the same type,
/// re-exported as [`mlx_core::arrow`](crate::arrow).
#[derive(Clone, PartialEq)]
pub struct DataFrame {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl DataFrame {
    /// A table of these batches.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a batch has another schema.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Self> {
        match batches.iter().position(|batch| batch.schema_ref().fields() != schema.fields()) {
            None => Ok(DataFrame { schema, batches }),
            Some(index) => Err(Error::invalid(format!("batch {index} of the table has another schema than the table"))),
        }
    }

    /// A table without rows.
    pub fn empty(schema: SchemaRef) -> Self {
        DataFrame { schema, batches: Vec::new() }
    }

    /// A table of named columns of one length.
    ///
    /// # Errors
    /// [`Failed`](crate::ErrorKind::Failed) when the lengths differ.
    pub fn from_columns<N: Into<String>>(columns: impl IntoIterator<Item = (N, ArrayRef)>) -> Result<Self> {
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
            columns.into_iter().map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array)).unzip();
        let schema = Arc::new(Schema::new(fields));
        Ok(DataFrame { batches: vec![RecordBatch::try_new(schema.clone(), arrays)?], schema })
    }

    /// The columns' names and types.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The batches, in order.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// The batches, in order, without a copy.
    pub fn into_batches(self) -> Vec<RecordBatch> {
        self.batches
    }

    /// How many rows there are.
    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// How many columns there are.
    pub fn num_columns(&self) -> usize {
        self.schema.fields().len()
    }

    /// The columns' names, in order.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    /// All rows in one batch.
    ///
    /// # Errors
    /// What Arrow reports, such as a text column that outgrows its offsets.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        match self.batches.as_slice() {
            [batch] => Ok(batch.clone()),
            batches => Ok(concat_batches(&self.schema, batches)?),
        }
    }

    /// A column over all batches, as one array.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the names that there are.
    pub fn column(&self, name: &str) -> Result<ArrayRef> {
        let index = self.schema.index_of(name).map_err(|_| {
            let known = crate::diagnostics::listing(self.column_names());
            Error::not_found(format!("the table has no column `{name}`; it has {known}"))
        })?;
        let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch.column(index).as_ref()).collect();
        match parts.as_slice() {
            [] => Ok(arrow::array::new_empty_array(self.schema.field(index).data_type())),
            parts => Ok(arrow::compute::concat(parts)?),
        }
    }

    /// A numeric column as numbers; null becomes NaN.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), or [`Invalid`](crate::ErrorKind::Invalid) when a value is no
    /// number.
    pub fn f64_column(&self, name: &str) -> Result<Vec<f64>> {
        let column = self.column(name)?;
        let nulls = column.logical_null_count();
        let numbers = cast(&column, &DataType::Float64)?;
        if numbers.null_count() > nulls {
            return Err(Error::invalid(format!("the column `{name}` has values that are not numbers")));
        }
        let numbers: &Float64Array = numbers.as_primitive::<Float64Type>();
        Ok(numbers.iter().map(|number| number.unwrap_or(f64::NAN)).collect())
    }

    /// A column as text; null becomes `None`.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), or what Arrow reports for a type that has no text form.
    pub fn string_column(&self, name: &str) -> Result<Vec<Option<String>>> {
        let column = cast(&self.column(name)?, &DataType::Utf8)?;
        let texts: &StringArray = column.as_string();
        Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
    }

    /// The columns of these names, in this order.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for a name that the table does not have.
    pub fn select<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<DataFrame> {
        let indices = names
            .into_iter()
            .map(|name| {
                self.schema.index_of(name).map_err(|_| Error::not_found(format!("the table has no column `{name}`")))
            })
            .collect::<Result<Vec<usize>>>()?;
        let schema = Arc::new(self.schema.project(&indices)?);
        let batches = self.batches.iter().map(|batch| batch.project(&indices)).collect::<Result<_, _>>()?;
        Ok(DataFrame { schema, batches })
    }

    /// The rows for which `keep` is true; it is given the row's number, from 0.
    ///
    /// # Errors
    /// What Arrow reports.
    pub fn filter_rows(&self, keep: impl Fn(usize) -> bool) -> Result<DataFrame> {
        let mut first = 0;
        let mut batches = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            let mask: Vec<bool> = (first..first + batch.num_rows()).map(&keep).collect();
            batches.push(arrow::compute::filter_record_batch(batch, &mask.into())?);
            first += batch.num_rows();
        }
        Ok(DataFrame { schema: self.schema.clone(), batches })
    }

    /// The table as text, at most `rows` rows of it.
    ///
    /// # Errors
    /// What Arrow reports for a value that it cannot print.
    pub fn to_text(&self, rows: usize) -> Result<String> {
        let mut left = rows;
        let mut shown = Vec::new();
        for batch in &self.batches {
            let part = batch.slice(0, batch.num_rows().min(left));
            left -= part.num_rows();
            shown.push(part);
        }
        if shown.is_empty() {
            shown.push(RecordBatch::new_empty(self.schema.clone()));
        }
        Ok(pretty_format_batches(&shown)?.to_string())
    }

    /// A single value as text: row and column from 0. Empty for null, `None` outside the table.
    pub fn cell(&self, row: usize, column: usize) -> Option<String> {
        let mut row = row;
        for batch in &self.batches {
            if row < batch.num_rows() {
                let options = FormatOptions::default();
                let column = batch.columns().get(column)?;
                let text = ArrayFormatter::try_new(column, &options).ok()?.value(row).to_string();
                return Some(text);
            }
            row -= batch.num_rows();
        }
        None
    }
}

impl From<RecordBatch> for DataFrame {
    fn from(batch: RecordBatch) -> Self {
        DataFrame { schema: batch.schema(), batches: vec![batch] }
    }
}

/// The shape; the data may be private.
impl fmt::Debug for DataFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> =
            self.schema.fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect();
        write!(f, "DataFrame({} rows; {})", self.num_rows(), columns.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    fn table() -> DataFrame {
        let part = |from: i64| {
            let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(from), None]));
            let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
            DataFrame::from_columns([("n", numbers), ("s", names)]).unwrap().into_batches().remove(0)
        };
        DataFrame::new(part(1).schema(), vec![part(1), part(5)]).unwrap()
    }

    #[test]
    fn columns_span_batches() {
        let table = table();
        let numbers = table.f64_column("n").unwrap();
        assert_eq!((numbers[0], numbers[2]), (1.0, 5.0));
        assert!(numbers[1].is_nan());
        assert_eq!(table.string_column("s").unwrap().len(), 4);
        assert_eq!(table.to_batch().unwrap().num_rows(), 4);
        assert_eq!(table.cell(2, 0).as_deref(), Some("5"));
        assert_eq!(table.cell(9, 0), None);
    }

    #[test]
    fn a_missing_column_lists_what_is_there() {
        let error = table().column("x").unwrap_err();
        assert!(error.to_string().contains("`n`, `s`"), "{error}");
    }

    #[test]
    fn text_is_not_a_number() {
        assert!(table().f64_column("s").is_err());
    }

    #[test]
    fn rows_are_filtered_by_their_number_in_the_table() {
        let kept = table().filter_rows(|row| row >= 2).unwrap();
        assert_eq!(kept.f64_column("n").unwrap()[0], 5.0);
        assert_eq!(kept.num_rows(), 2);
    }

    #[test]
    fn a_batch_of_another_schema_is_refused() {
        let other = table().select(["s"]).unwrap();
        assert!(DataFrame::new(table().schema().clone(), other.into_batches()).is_err());
    }
}
