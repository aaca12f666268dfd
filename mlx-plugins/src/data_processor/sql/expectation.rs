//! What the columns of a table must be like, and how far they are from it.

use crate::sqlite_arrow::Deadline;
use arrow::{
    array::{Array, ArrayRef},
    compute::{cast, is_not_null, is_null},
    datatypes::DataType,
    util::display::{ArrayFormatter, FormatOptions},
};
use mlx_core::prelude::*;
use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

/// Rows after which the deadline is looked at.
const ROWS: usize = 8192;

/// What one column must be like. Nulls are judged by `nullable` alone.
#[derive(Clone, Debug, PluginConfig)]
#[config(validate = Expectation::check)]
pub struct Expectation {
    /// The column's name.
    #[config(non_empty)]
    pub column: String,
    /// The kind of values; any if left out.
    #[config(rename = "type")]
    pub kind: Option<ColumnType>,
    /// Whether the column must be there.
    #[config(default = true)]
    pub required: bool,
    /// Whether values may be missing.
    #[config(default = true)]
    pub nullable: bool,
    /// The least number allowed.
    pub min: Option<f64>,
    /// The greatest number allowed.
    pub max: Option<f64>,
    /// The values allowed, as text; any if empty.
    #[config(default)]
    pub one_of: Vec<String>,
    /// Whether no value may appear twice.
    #[config(default = false)]
    pub unique: bool,
}

/// The kind of values in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PluginConfig)]
#[config(rename_all = "snake_case")]
pub enum ColumnType {
    /// Whole numbers.
    Integer,
    /// Whole numbers, floating point numbers or decimals.
    Number,
    /// Text.
    Text,
    /// True and false.
    Boolean,
    /// Days.
    Date,
    /// Points in time.
    Timestamp,
    /// Bytes.
    Binary,
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ColumnType::Integer => "integer",
            ColumnType::Number => "number",
            ColumnType::Text => "text",
            ColumnType::Boolean => "boolean",
            ColumnType::Date => "date",
            ColumnType::Timestamp => "timestamp",
            ColumnType::Binary => "binary",
        })
    }
}

impl ColumnType {
    fn accepts(self, data_type: &DataType) -> bool {
        use DataType as T;
        match data_type {
            // Nulls are of every type.
            T::Null => true,
            T::Dictionary(_, values) => self.accepts(values),
            T::Utf8 | T::LargeUtf8 | T::Utf8View => self == ColumnType::Text,
            T::Boolean => self == ColumnType::Boolean,
            T::Date32 | T::Date64 => self == ColumnType::Date,
            T::Timestamp(..) => self == ColumnType::Timestamp,
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => self == ColumnType::Binary,
            integer if integer.is_integer() => matches!(self, ColumnType::Integer | ColumnType::Number),
            number if number.is_numeric() => self == ColumnType::Number,
            _ => false,
        }
    }
}

/// Finds two expectations of one column.
pub(super) fn check_columns(expect: &[Expectation]) -> Result<(), String> {
    let mut seen = HashSet::new();
    match expect.iter().find(|expectation| !seen.insert(&expectation.column)) {
        Some(twice) => Err(format!("the column `{}` appears twice", twice.column)),
        None => Ok(()),
    }
}

/// Compares a table with the expectations.
pub(super) fn report(
    expect: &[Expectation],
    strict: bool,
    data: &DataFrame,
    deadline: &Deadline,
) -> Result<SchemaReport> {
    let mut violations = Vec::new();
    for expectation in expect {
        let violation = |message: String, rows| SchemaViolation { column: expectation.column.clone(), message, rows };
        if !data.column_names().any(|name| name == expectation.column) {
            if expectation.required {
                violations.push(violation(missing(&expectation.column, data), 0));
            }
            continue;
        }
        deadline.check()?;
        let column = data.column(&expectation.column)?;
        for (message, rows) in expectation.violations(&column, deadline)? {
            violations.push(violation(message, rows));
        }
    }
    if strict {
        let expected: BTreeSet<&str> = expect.iter().map(|expectation| expectation.column.as_str()).collect();
        violations.extend(data.column_names().filter(|name| !expected.contains(name)).map(|name| SchemaViolation {
            column: name.to_owned(),
            message: "is not expected".to_owned(),
            rows: 0,
        }));
    }
    Ok(SchemaReport { rows: data.num_rows(), violations })
}

fn missing(column: &str, data: &DataFrame) -> String {
    match mlx_core::diagnostics::nearest(column, data.column_names()) {
        Some(near) => format!("is missing; there is a column `{near}`"),
        None => "is missing".to_owned(),
    }
}

impl Expectation {
    /// Finds what no column can be like.
    pub(super) fn check(&self) -> Result<(), String> {
        let Expectation { column, kind, min, max, .. } = self;
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            return Err(format!("`{column}` has min {min}, which is above its max {max}"));
        }
        match kind {
            None | Some(ColumnType::Integer | ColumnType::Number) => Ok(()),
            Some(kind) if min.is_some() || max.is_some() => {
                Err(format!("`{column}` has min or max, but its type is {kind}"))
            }
            Some(_) => Ok(()),
        }
    }

    fn violations(&self, column: &ArrayRef, deadline: &Deadline) -> Result<Vec<(String, usize)>> {
        let mut found = Vec::new();
        let data_type = column.data_type();
        if let Some(kind) = self.kind
            && !kind.accepts(data_type)
        {
            // The rest would only repeat it.
            return Ok(vec![(format!("is of type {data_type}, expected {kind}"), 0)]);
        }
        let nulls = is_null(column)?.true_count();
        if !self.nullable && nulls > 0 {
            found.push(("has missing values".to_owned(), nulls));
        }
        if self.min.is_some() || self.max.is_some() {
            let (least, greatest) = (self.min.unwrap_or(f64::NEG_INFINITY), self.max.unwrap_or(f64::INFINITY));
            if ColumnType::Number.accepts(data_type) {
                let numbers = cast(column, &DataType::Float64)?;
                let numbers = DataFrame::from_columns([("", numbers)])?.f64_column("")?;
                // NaN is in no range; a null is not looked at.
                let outside = numbers
                    .iter()
                    .zip(is_not_null(column)?.values())
                    .filter(|(number, present)| *present && !(least..=greatest).contains(*number))
                    .count();
                if outside > 0 {
                    found.push((format!("has values outside {}", self.range()), outside));
                }
            } else {
                found.push((format!("is of type {data_type}, and only numbers have a min and max"), 0));
            }
        }
        if !self.one_of.is_empty() || self.unique {
            self.check_values(column, deadline, &mut found)?;
        }
        Ok(found)
    }

    fn range(&self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            (Some(min), None) => format!("{min} and above"),
            (None, max) => format!("{} and below", max.unwrap_or(f64::INFINITY)),
        }
    }

    /// `one_of` and `unique`, on the values' text.
    fn check_values(&self, column: &ArrayRef, deadline: &Deadline, found: &mut Vec<(String, usize)>) -> Result<()> {
        let allowed: HashSet<&str> = self.one_of.iter().map(String::as_str).collect();
        let (mut strangers, mut repeated) = (0, 0);
        let mut seen = HashSet::new();
        let options = FormatOptions::default();
        let values = ArrayFormatter::try_new(column, &options)?;
        let present = is_not_null(column)?;
        for row in (0..column.len()).filter(|row| present.value(*row)) {
            if row % ROWS == 0 {
                deadline.check()?;
            }
            let value = values.value(row).try_to_string()?;
            strangers += usize::from(!allowed.is_empty() && !allowed.contains(value.as_str()));
            if self.unique && !seen.insert(value) {
                repeated += 1;
            }
        }
        if strangers > 0 {
            let allowed = mlx_core::diagnostics::listing(allowed);
            found.push((format!("has values that are none of {allowed}"), strangers));
        }
        if repeated > 0 {
            found.push(("has values that appear before".to_owned(), repeated));
        }
        Ok(())
    }
}
