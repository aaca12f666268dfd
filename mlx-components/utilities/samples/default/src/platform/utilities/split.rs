//! Rows to learn from, and rows to test with.
//!
//! A split depends on the table's length and the seed alone: the same call gives the same rows on
//! every machine and with every version of this code.

use mlx_core::prelude::*;
use std::collections::BTreeMap;

/// A table in two parts.
#[derive(Clone, Debug)]
pub struct Split {
    /// The rows to learn from.
    pub train: DataFrame,
    /// The rows to test with.
    pub test: DataFrame,
}

/// Puts a share of the rows aside at random: `test_share` of them, at least one, and never all.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) unless `0 < test_share < 1` and there are two rows.
pub fn train_test(data: &DataFrame, test_share: f64, seed: u64) -> Result<Split> {
    check_share(test_share)?;
    let rows = data.num_rows();
    if rows < 2 {
        return Err(Error::invalid(format!(
            "a split needs two rows, and the table has {rows}"
        )));
    }
    let mut order: Vec<usize> = (0..rows).collect();
    shuffle(&mut order, seed);
    let count = share_of(rows, test_share).clamp(1, rows - 1);
    parts(data, |position| position < count, &order)
}

/// As [`train_test`], but each value of a column has the same share in both parts, as far as whole
/// rows allow. Use it where a class is rare.
///
/// # Errors
/// As [`train_test`]; [`NotFound`](ErrorKind::NotFound) when there is no such column.
pub fn stratified(data: &DataFrame, column: &str, test_share: f64, seed: u64) -> Result<Split> {
    check_share(test_share)?;
    let mut groups: BTreeMap<Option<String>, Vec<usize>> = BTreeMap::new();
    for (row, value) in data.string_column(column)?.into_iter().enumerate() {
        groups.entry(value).or_default().push(row);
    }
    let mut is_test = vec![false; data.num_rows()];
    for rows in groups.values_mut() {
        shuffle(rows, seed);
        // A class with one row is learnt from: nothing can be tested that was never seen.
        let count = share_of(rows.len(), test_share)
            .clamp(1, rows.len())
            .min(rows.len() - 1);
        rows[..count].iter().for_each(|&row| is_test[row] = true);
    }
    if !is_test.contains(&true) {
        return Err(Error::invalid(format!(
            "no value of `{column}` has two rows: nothing is left to test with"
        )));
    }
    split_by(data, |row| is_test[row])
}

/// Splits the table into `folds` pairs: each row is tested with in exactly one of them.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for fewer than two folds, or more folds than rows.
pub fn k_fold(data: &DataFrame, folds: usize, seed: u64) -> Result<Vec<Split>> {
    let mut order: Vec<usize> = (0..data.num_rows()).collect();
    shuffle(&mut order, seed);
    dealt(data, folds, &order)
}

/// As [`k_fold`], but each value of a column is spread evenly over the folds.
///
/// # Errors
/// As [`k_fold`]; [`NotFound`](ErrorKind::NotFound) when there is no such column.
pub fn stratified_k_fold(
    data: &DataFrame,
    column: &str,
    folds: usize,
    seed: u64,
) -> Result<Vec<Split>> {
    let values = data.string_column(column)?;
    let mut order: Vec<usize> = (0..data.num_rows()).collect();
    shuffle(&mut order, seed);
    order.sort_by_key(|&row| &values[row]);
    dealt(data, folds, &order)
}

/// Deals the rows to the folds in turn, as one deals cards.
fn dealt(data: &DataFrame, folds: usize, order: &[usize]) -> Result<Vec<Split>> {
    let rows = order.len();
    if folds < 2 || folds > rows {
        return Err(Error::invalid(format!(
            "{rows} rows cannot be split into {folds} folds"
        )));
    }
    (0..folds)
        .map(|fold| parts(data, |position| position % folds == fold, order))
        .collect()
}

fn check_share(test_share: f64) -> Result<()> {
    if test_share > 0.0 && test_share < 1.0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the share of test rows is {test_share}; it lies between 0 and 1"
    )))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]
fn share_of(rows: usize, share: f64) -> usize {
    (rows as f64 * share).round() as usize
}

/// The row in place `position` of `order` is a test row where `is_test(position)` says so.
fn parts(data: &DataFrame, is_test: impl Fn(usize) -> bool, order: &[usize]) -> Result<Split> {
    let mut by_row = vec![false; order.len()];
    for (position, &row) in order.iter().enumerate() {
        by_row[row] = is_test(position);
    }
    split_by(data, |row| by_row[row])
}

fn split_by(data: &DataFrame, is_test: impl Fn(usize) -> bool) -> Result<Split> {
    Ok(Split {
        train: data.filter_rows(|row| !is_test(row))?,
        test: data.filter_rows(&is_test)?,
    })
}

/// Fisher and Yates' shuffle.
fn shuffle(rows: &mut [usize], seed: u64) {
    let mut state = seed;
    for last in (1..rows.len()).rev() {
        let bound = last as u64 + 1;
        // The high half of the product is even enough: the bias is below 2^-40 for a million rows.
        let chosen = (u128::from(next(&mut state)) * u128::from(bound)) >> 64;
        rows.swap(last, usize::try_from(chosen).unwrap_or(last));
    }
}

/// SplitMix64 of Steele, Lea and Flood (2014), which is too small to ever change.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::arrow::array::{ArrayRef, Int64Array, StringArray};
    use std::sync::Arc;

    /// A hundred rows, every tenth of the class `rare`.
    fn table() -> Result<DataFrame> {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let classes = (0..100).map(|row| if row % 10 == 0 { "rare" } else { "common" });
        let classes: ArrayRef = Arc::new(StringArray::from_iter_values(classes));
        DataFrame::from_columns([("n", numbers), ("class", classes)])
    }

    fn sorted(mut rows: Vec<f64>) -> Vec<f64> {
        rows.sort_by(f64::total_cmp);
        rows
    }

    #[test]
    fn every_row_is_in_one_part_and_the_seed_decides() -> Result<()> {
        let data = table()?;
        let Split { train, test } = train_test(&data, 0.25, 7)?;
        assert_eq!((train.num_rows(), test.num_rows()), (75, 25));
        let both = [train.f64_column("n")?, test.f64_column("n")?].concat();
        assert_eq!(sorted(both), data.f64_column("n")?);
        let again = train_test(&data, 0.25, 7)?;
        assert_eq!(again.test.f64_column("n")?, test.f64_column("n")?);
        let other = train_test(&data, 0.25, 8)?;
        assert_ne!(other.test.f64_column("n")?, test.f64_column("n")?);
        Ok(())
    }

    #[test]
    fn a_rare_class_is_in_both_parts() -> Result<()> {
        let Split { train, test } = stratified(&table()?, "class", 0.2, 1)?;
        let rare = |part: &DataFrame| -> Result<usize> {
            let classes = part.string_column("class")?;
            Ok(classes
                .iter()
                .filter(|class| class.as_deref() == Some("rare"))
                .count())
        };
        assert_eq!((rare(&train)?, rare(&test)?), (8, 2));
        assert_eq!(test.num_rows(), 20);
        Ok(())
    }

    #[test]
    fn each_row_is_tested_with_once() -> Result<()> {
        let data = table()?;
        let folds = k_fold(&data, 3, 5)?;
        let mut tested = Vec::new();
        for fold in &folds {
            assert_eq!(fold.train.num_rows() + fold.test.num_rows(), 100);
            tested.extend(fold.test.f64_column("n")?);
        }
        assert_eq!(sorted(tested), data.f64_column("n")?);
        for fold in stratified_k_fold(&data, "class", 5, 5)? {
            let classes = fold.test.string_column("class")?;
            let rare = classes
                .iter()
                .filter(|class| class.as_deref() == Some("rare"))
                .count();
            assert_eq!((rare, classes.len()), (2, 20));
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_split_is_refused() -> Result<()> {
        let data = table()?;
        assert!(train_test(&data, 0.0, 1).is_err());
        assert!(train_test(&data, f64::NAN, 1).is_err());
        assert!(train_test(&data.filter_rows(|row| row == 0)?, 0.5, 1).is_err());
        assert!(stratified(&data, "n", 0.5, 1).is_err());
        assert!(k_fold(&data, 1, 1).is_err());
        assert!(k_fold(&data, 101, 1).is_err());
        Ok(())
    }
}
