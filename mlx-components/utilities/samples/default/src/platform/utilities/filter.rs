//! Which rows are kept.

use mlx_core::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, StringArray},
        compute::{
            and, cast, filter_record_batch, is_not_null,
            kernels::cmp::{eq, gt, gt_eq, lt, lt_eq},
            or,
        },
        datatypes::{DataType, Float64Type},
    },
    diagnostics::listing,
    prelude::*,
};

/// A condition that the rows that are kept meet. A row without a value in the column meets none.
#[derive(Clone, Debug, Default, PluginConfig)]
#[config(validate = Filter::check)]
pub struct Filter {
    /// The column.
    #[config(non_empty)]
    pub column: String,
    /// The value is above this.
    pub above: Option<f64>,
    /// The value is this or above.
    pub at_least: Option<f64>,
    /// The value is below this.
    pub below: Option<f64>,
    /// The value is this or below.
    pub at_most: Option<f64>,
    /// The value is one of these, as text; any if empty.
    #[config(default)]
    pub one_of: Vec<String>,
}

impl Filter {
    /// Any value will do, but there has to be one.
    pub fn not_null(column: impl Into<String>) -> Self {
        Filter {
            column: column.into(),
            ..Filter::default()
        }
    }

    fn check(&self) -> Result<(), String> {
        let lower = [self.above, self.at_least]
            .into_iter()
            .flatten()
            .reduce(f64::max);
        let upper = [self.below, self.at_most]
            .into_iter()
            .flatten()
            .reduce(f64::min);
        match (lower, upper) {
            (Some(lower), Some(upper)) if lower > upper => {
                Err(format!("no value is above {lower} and below {upper}"))
            }
            _ => Ok(()),
        }
    }

    fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let column = batch.column_by_name(&self.column).ok_or_else(|| {
            let known = listing(
                batch
                    .schema_ref()
                    .fields()
                    .iter()
                    .map(|field| field.name().as_str()),
            );
            Error::invalid(format!(
                "there is no column `{}` to filter by; there are {known}",
                self.column
            ))
        })?;
        let mut mask = is_not_null(column)?;
        type Compare = fn(&Float64Array, f64) -> Result<BooleanArray>;
        let comparisons: [(Option<f64>, Compare); 4] = [
            (self.above, |values, limit| {
                Ok(gt(values, &Float64Array::new_scalar(limit))?)
            }),
            (self.at_least, |values, limit| {
                Ok(gt_eq(values, &Float64Array::new_scalar(limit))?)
            }),
            (self.below, |values, limit| {
                Ok(lt(values, &Float64Array::new_scalar(limit))?)
            }),
            (self.at_most, |values, limit| {
                Ok(lt_eq(values, &Float64Array::new_scalar(limit))?)
            }),
        ];
        for (limit, compare) in comparisons {
            if let Some(limit) = limit {
                mask = and(&mask, &compare(&self.numbers(column)?, limit)?)?;
            }
        }
        if !self.one_of.is_empty() {
            let texts = cast(column, &DataType::Utf8)?;
            let mut any = BooleanArray::from(vec![false; texts.len()]);
            for value in &self.one_of {
                any = or(&any, &eq(&texts, &StringArray::new_scalar(value))?)?;
            }
            mask = and(&mask, &any)?;
        }
        Ok(mask)
    }

    fn numbers(&self, column: &ArrayRef) -> Result<Float64Array> {
        let numbers = cast(column, &DataType::Float64)?;
        if numbers.null_count() > column.logical_null_count() {
            return Err(Error::invalid(format!(
                "the column `{}` has values that are no numbers",
                self.column
            )));
        }
        Ok(numbers.as_primitive::<Float64Type>().clone())
    }
}

/// The rows that meet all conditions.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) when a column is missing, or has no numbers to compare.
pub fn keep(filters: &[Filter], data: DataFrame) -> Result<DataFrame> {
    let schema = data.schema().clone();
    let mut batches = Vec::with_capacity(data.batches().len());
    for mut batch in data.into_batches() {
        for filter in filters {
            batch = filter_record_batch(&batch, &filter.mask(&batch)?)?;
        }
        batches.push(batch);
    }
    DataFrame::new(schema, batches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn table() -> Result<DataFrame> {
        let scores: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(0.5),
            None,
            Some(0.9),
            Some(0.8),
        ]));
        let classes: ArrayRef = Arc::new(StringArray::from(vec![
            Some("a"),
            Some("a"),
            Some("b"),
            None,
        ]));
        DataFrame::from_columns([("score", scores), ("class", classes)])
    }

    fn kept(filter: Filter) -> Result<Vec<f64>> {
        keep(&[filter], table()?)?.f64_column("score")
    }

    #[test]
    fn rows_that_meet_the_condition_are_kept() -> Result<()> {
        let score = || Filter::not_null("score");
        assert_eq!(kept(score())?, [0.5, 0.9, 0.8]);
        assert_eq!(
            kept(Filter {
                above: Some(0.8),
                ..score()
            })?,
            [0.9]
        );
        assert_eq!(
            kept(Filter {
                at_least: Some(0.8),
                ..score()
            })?,
            [0.9, 0.8]
        );
        assert_eq!(
            kept(Filter {
                below: Some(0.8),
                ..score()
            })?,
            [0.5]
        );
        assert_eq!(
            kept(Filter {
                at_most: Some(0.8),
                ..score()
            })?,
            [0.5, 0.8]
        );
        let classes = Filter {
            one_of: vec!["b".to_owned(), "c".to_owned()],
            ..Filter::not_null("class")
        };
        assert_eq!(kept(classes)?, [0.9]);
        Ok(())
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let missing = kept(Filter::not_null("scor")).unwrap_err();
        assert!(missing.to_string().contains("`score`"), "{missing}");
        let text = Filter {
            above: Some(1.0),
            ..Filter::not_null("class")
        };
        assert_eq!(kept(text).unwrap_err().kind(), ErrorKind::Invalid);
        let nothing = Filter {
            above: Some(2.0),
            below: Some(1.0),
            ..Filter::not_null("score")
        };
        assert!(nothing.check().is_err());
    }
}
