//! How good predictions are. The definitions are those of scikit-learn.

use mlx_core::prelude::*;

/// How a classification did on one class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassMetrics {
    /// Of the rows predicted to be of the class, the share that is.
    pub precision: f64,
    /// Of the rows of the class, the share that was found.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

/// The share of right predictions.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) when the lengths differ or there are no rows.
pub fn accuracy<T: PartialEq>(actual: &[T], predicted: &[T]) -> Result<f64> {
    let pairs = pairs(actual, predicted)?;
    Ok(ratio(
        pairs
            .filter(|(actual, predicted)| actual == predicted)
            .count(),
        actual.len(),
    ))
}

/// Precision, recall and F1 of one class. What would be divided by zero is 0.
///
/// # Errors
/// As [`accuracy`].
pub fn class_metrics<T: PartialEq>(
    actual: &[T],
    predicted: &[T],
    class: &T,
) -> Result<ClassMetrics> {
    let (mut found, mut claimed, mut there) = (0, 0, 0);
    for (actual, predicted) in pairs(actual, predicted)? {
        found += usize::from(actual == class && predicted == class);
        claimed += usize::from(predicted == class);
        there += usize::from(actual == class);
    }
    let (precision, recall) = (ratio(found, claimed), ratio(found, there));
    Ok(ClassMetrics {
        precision,
        recall,
        f1: ratio(2 * found, claimed + there),
    })
}

/// The chance that a positive row has a higher score than a negative one; ties count half.
///
/// # Errors
/// As [`accuracy`]; also when all rows are of one class, or a score is no number.
pub fn roc_auc(positive: &[bool], scores: &[f64]) -> Result<f64> {
    let mut rows: Vec<(f64, bool)> = pairs(scores, positive)?
        .map(|(&score, &positive)| (score, positive))
        .collect();
    if rows.iter().any(|(score, _)| score.is_nan()) {
        return Err(Error::invalid("a score is no number"));
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = positive.iter().filter(|&&positive| positive).count();
    let negatives = positive.len() - positives;
    if positives == 0 || negatives == 0 {
        return Err(Error::invalid(
            "all rows are of one class: there is nothing to tell apart",
        ));
    }
    // Twice the pairs in the right order, so that half a tie is a whole number.
    let (mut below, mut doubled) = (0, 0);
    for group in rows.chunk_by(|a, b| a.0 == b.0) {
        let positives = group.iter().filter(|(_, positive)| *positive).count();
        let negatives = group.len() - positives;
        doubled += positives * (2 * below + negatives);
        below += negatives;
    }
    Ok(ratio(doubled, 2 * positives * negatives))
}

/// The mean of the absolute errors.
///
/// # Errors
/// As [`accuracy`].
pub fn mean_absolute_error(actual: &[f64], predicted: &[f64]) -> Result<f64> {
    let errors = pairs(actual, predicted)?.map(|(actual, predicted)| (actual - predicted).abs());
    Ok(mean(errors, actual.len()))
}

/// The square root of the mean of the squared errors.
///
/// # Errors
/// As [`accuracy`].
pub fn root_mean_squared_error(actual: &[f64], predicted: &[f64]) -> Result<f64> {
    let errors = pairs(actual, predicted)?.map(|(actual, predicted)| (actual - predicted).powi(2));
    Ok(mean(errors, actual.len()).sqrt())
}

/// The share of the variance that the predictions explain; 1 is perfect, 0 is no better than the
/// mean.
///
/// # Errors
/// As [`accuracy`]; also when all actual values are the same.
pub fn r2(actual: &[f64], predicted: &[f64]) -> Result<f64> {
    let center = mean(actual.iter().copied(), actual.len());
    let total: f64 = actual.iter().map(|value| (value - center).powi(2)).sum();
    let left: f64 = pairs(actual, predicted)?
        .map(|(a, p)| (a - p).powi(2))
        .sum();
    if total == 0.0 {
        return Err(Error::invalid(
            "all actual values are the same: there is nothing to explain",
        ));
    }
    Ok(1.0 - left / total)
}

fn pairs<'a, A, P>(
    actual: &'a [A],
    predicted: &'a [P],
) -> Result<impl Iterator<Item = (&'a A, &'a P)>> {
    if actual.len() != predicted.len() || actual.is_empty() {
        return Err(Error::invalid(format!(
            "{} rows were compared with {} predictions",
            actual.len(),
            predicted.len()
        )));
    }
    Ok(actual.iter().zip(predicted))
}

#[allow(clippy::cast_precision_loss)]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[allow(clippy::cast_precision_loss)]
fn mean(values: impl Iterator<Item = f64>, count: usize) -> f64 {
    values.sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-12
    }

    #[test]
    fn classes_are_counted() -> Result<()> {
        let actual = ["cat", "cat", "dog", "dog", "cat"];
        let predicted = ["cat", "dog", "dog", "cat", "cat"];
        assert!(close(accuracy(&actual, &predicted)?, 0.6));
        let cat = class_metrics(&actual, &predicted, &"cat")?;
        assert!(close(cat.precision, 2.0 / 3.0) && close(cat.recall, 2.0 / 3.0));
        assert!(close(cat.f1, 2.0 / 3.0));
        assert_eq!(
            class_metrics(&actual, &predicted, &"cow")?,
            ClassMetrics::default()
        );
        Ok(())
    }

    #[test]
    fn ranking_counts_ties_half() -> Result<()> {
        let positive = [false, false, true, true];
        // The example of scikit-learn's documentation.
        assert!(close(roc_auc(&positive, &[0.1, 0.4, 0.35, 0.8])?, 0.75));
        assert!(close(roc_auc(&positive, &[0.5; 4])?, 0.5));
        assert!(roc_auc(&[true, true], &[0.1, 0.2]).is_err());
        assert!(roc_auc(&positive, &[f64::NAN; 4]).is_err());
        Ok(())
    }

    #[test]
    fn errors_of_numbers() -> Result<()> {
        let (actual, predicted) = ([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]);
        assert!(close(mean_absolute_error(&actual, &predicted)?, 0.5));
        assert!(close(
            root_mean_squared_error(&actual, &predicted)?,
            0.375_f64.sqrt()
        ));
        assert!(close(r2(&actual, &predicted)?, 0.948_608_137_044_967_9));
        assert!(r2(&[1.0, 1.0], &[1.0, 2.0]).is_err());
        Ok(())
    }

    #[test]
    fn lengths_have_to_agree() {
        assert!(accuracy(&[1, 2], &[1]).is_err());
        assert!(accuracy::<u8>(&[], &[]).is_err());
    }
}
