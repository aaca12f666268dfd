//! From a table to numbers.

use mlx_core::{
    arrow::datatypes::DataType,
    contracts::DataFrame,
    diagnostics::{Error, Result, listing, nearest},
};

/// Finite numbers, column after column.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// The columns of these names, in this order.
    ///
    /// # Errors
    /// Invalid, with all that is wrong of one kind: columns that are missing, that hold no numbers, and rows with a
    /// value that is null, NaN or infinite.
    pub(crate) fn from_table(data: &DataFrame, names: &[String]) -> Result<Self> {
        present(data, names)?;
        let unfit: Vec<String> = names
            .iter()
            .filter_map(|name| {
                column_type(data, name).filter(|kind| !is_number(kind)).map(|kind| format!("`{name}` ({kind})"))
            })
            .collect();
        if !unfit.is_empty() {
            return Err(Error::invalid(format!(
                "a feature must be a number or a boolean; these columns are not: {}",
                unfit.join(", ")
            )));
        }
        let rows = data.num_rows();
        let mut values = Vec::with_capacity(rows * names.len());
        for name in names {
            values.extend(data.f64_column(name)?);
        }
        let matrix = Matrix { rows, columns: names.len(), values };
        matrix.finite(names)?;
        Ok(matrix)
    }

    /// A matrix of another's shape, with the value at each row and column made from that of the other.
    pub(crate) fn map(&self, value: impl Fn(usize, f64) -> f64) -> Self {
        let values = (0..self.columns).flat_map(|column| self.column(column).iter().map(move |v| (column, *v)));
        Matrix { values: values.map(|(column, v)| value(column, v)).collect(), ..*self }
    }

    fn finite(&self, names: &[String]) -> Result<()> {
        let bad = |column: usize| (0..self.rows).filter(move |row| !self.column(column)[*row].is_finite());
        let columns = (0..names.len()).filter(|column| bad(*column).next().is_some());
        let columns: Vec<&str> = columns.map(|column| names[column].as_str()).collect();
        let rows: std::collections::BTreeSet<usize> = (0..names.len()).flat_map(bad).collect();
        match rows.first() {
            None => Ok(()),
            Some(first) => Err(Error::invalid(format!(
                "{} of {} rows have a value that is null or no finite number, in {}; the first is row {first}, counted from 0",
                rows.len(),
                self.rows,
                listing(columns),
            ))),
        }
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns there are.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// A column, from 0.
    pub(crate) fn column(&self, column: usize) -> &[f64] {
        &self.values[column * self.rows..(column + 1) * self.rows]
    }

    /// All numbers, column after column.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }
}

/// Says which of the names the table lacks.
fn present(data: &DataFrame, names: &[String]) -> Result<()> {
    let missing: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| column_type(data, name).is_none()).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let columns = if missing.len() == 1 { "column" } else { "columns" };
    let hint = match nearest(first, data.column_names()) {
        Some(near) => format!("; for `{first}`, did you mean `{near}`?"),
        None => String::new(),
    };
    Err(Error::invalid(format!(
        "the table lacks the {columns} {}; it has {}{hint}",
        listing(missing.iter().copied()),
        listing(data.column_names()),
    )))
}

/// The type of a column, or of a dictionary's values; `None` when there is no such column.
pub(crate) fn column_type(data: &DataFrame, name: &str) -> Option<DataType> {
    let kind = data.schema().field_with_name(name).ok()?.data_type();
    Some(match kind {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    })
}

/// Null is the type of a column without any value; its rows are reported as such.
fn is_number(kind: &DataType) -> bool {
    kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null)
}
