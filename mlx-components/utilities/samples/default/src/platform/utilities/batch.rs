//! Tables in pieces of a bounded size.

use mlx_core::prelude::*;
use std::num::NonZeroUsize;

/// The table in pieces of at most `rows` rows, in order. No data is copied.
pub fn batches(data: &DataFrame, rows: NonZeroUsize) -> impl Iterator<Item = DataFrame> {
    data.batches().iter().flat_map(move |batch| {
        let starts = (0..batch.num_rows()).step_by(rows.get());
        starts.map(move |start| {
            let length = rows.get().min(batch.num_rows() - start);
            DataFrame::from(batch.slice(start, length))
        })
    })
}

/// The pieces as one table, in order. No data is copied.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) without a piece, or when two have different columns.
pub fn concatenate(pieces: Vec<DataFrame>) -> Result<DataFrame> {
    let schema = match pieces.first() {
        Some(first) => first.schema().clone(),
        None => return Err(Error::invalid("there is no table to begin with")),
    };
    DataFrame::new(
        schema,
        pieces
            .into_iter()
            .flat_map(DataFrame::into_batches)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::arrow::array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    fn numbers(count: i64) -> Result<DataFrame> {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
        DataFrame::from_columns([("n", numbers)])
    }

    #[test]
    fn pieces_are_bounded_and_make_up_the_table() -> Result<()> {
        let table = numbers(10)?;
        let rows = NonZeroUsize::new(4).context("four")?;
        let pieces: Vec<DataFrame> = batches(&table, rows).collect();
        let sizes: Vec<usize> = pieces.iter().map(DataFrame::num_rows).collect();
        assert_eq!(sizes, [4, 4, 2]);
        let whole = concatenate(pieces)?;
        assert_eq!(whole.f64_column("n")?, table.f64_column("n")?);
        Ok(())
    }

    #[test]
    fn a_table_without_rows_has_no_pieces() -> Result<()> {
        assert_eq!(batches(&numbers(0)?, NonZeroUsize::MIN).count(), 0);
        assert!(concatenate(Vec::new()).is_err());
        Ok(())
    }
}
