//! How good a model is, measured as scikit-learn measures it.
//!
//! A part of 0 out of 0 counts as 0, such as the precision of a class that was never predicted. What cannot be given
//! a value is left out: `roc_auc` when not every class occurs, `r2` when the target is constant.

use super::fit::{labels, numbers};
use crate::linear_model::{LinearModel, Matrix, Predictions};
use mlx_core::{
    contracts::{DataFrame, Evaluation},
    diagnostics::{Error, Result, listing},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Measures a model on rows that have its target.
pub(super) fn evaluate(
    model: &LinearModel,
    positive: Option<&str>,
    features: &Matrix,
    data: &DataFrame,
) -> Result<Evaluation> {
    if features.rows() == 0 {
        return Err(Error::invalid("the table has no rows to measure on"));
    }
    let signature = model.signature();
    let mut evaluation = Evaluation::default();
    evaluation.rows = features.rows();
    match model.predict(features)? {
        Predictions::Numbers(predicted) => {
            evaluation.metrics = regression(&numbers(data, &signature.target)?, &predicted);
        }
        Predictions::Probabilities(probabilities) => {
            let classes = &signature.classes;
            let actual = codes(&labels(data, &signature.target)?, classes, &signature.target)?;
            let predicted = Predictions::classes(&probabilities);
            let mut confusion = vec![vec![0; classes.len()]; classes.len()];
            for (actual, predicted) in actual.iter().zip(&predicted) {
                confusion[*actual][*predicted] += 1;
            }
            let positive = match positive {
                Some(positive) => Some(classes.iter().position(|class| class == positive).ok_or_else(|| {
                    let known = listing(classes.iter().map(String::as_str));
                    Error::invalid(format!("the model's positive class `{positive}` is none of its classes {known}"))
                })?),
                None => (classes.len() == 2).then_some(1),
            };
            evaluation.metrics = classification(&confusion, positive, &actual, &probabilities);
            evaluation.classes = classes.clone();
            evaluation.confusion = confusion;
        }
    }
    Ok(evaluation)
}

/// The positions of the labels among the classes.
fn codes(labels: &[String], classes: &[String], target: &str) -> Result<Vec<usize>> {
    let known: HashMap<&str, usize> = classes.iter().enumerate().map(|(code, class)| (class.as_str(), code)).collect();
    let unknown: BTreeSet<&str> =
        labels.iter().map(String::as_str).filter(|label| !known.contains_key(label)).collect();
    if !unknown.is_empty() {
        return Err(Error::invalid(format!(
            "the target `{target}` has values that the model was not trained on: {}; its classes are {}",
            listing(unknown),
            listing(classes.iter().map(String::as_str))
        )));
    }
    Ok(labels.iter().map(|label| known[label.as_str()]).collect())
}

type Metrics = BTreeMap<String, f64>;

fn classification(
    confusion: &[Vec<usize>],
    positive: Option<usize>,
    actual: &[usize],
    probabilities: &[Vec<f64>],
) -> Metrics {
    let right: usize = (0..confusion.len()).map(|class| confusion[class][class]).sum();
    // As scikit-learn: a certain mistake costs −ln ε rather than infinity.
    let loss: f64 =
        actual.iter().enumerate().map(|(row, class)| -probabilities[*class][row].max(f64::EPSILON).ln()).sum();
    let mut metrics = Metrics::from([
        ("accuracy".to_owned(), ratio(right, actual.len())),
        ("log_loss".to_owned(), loss / actual.len() as f64),
    ]);
    let rates: Vec<[f64; 3]> = match positive {
        Some(class) => vec![rates(confusion, class)],
        // A class that neither occurs nor is predicted says nothing.
        None => (0..confusion.len())
            .filter(|class| confusion[*class].iter().sum::<usize>() + predicted(confusion, *class) > 0)
            .map(|class| rates(confusion, class))
            .collect(),
    };
    for (index, name) in ["precision", "recall", "f1"].into_iter().enumerate() {
        metrics.insert(name.to_owned(), mean(rates.iter().map(|rates| rates[index])));
    }
    let areas: Option<Vec<f64>> = match positive {
        Some(class) => roc_auc(actual, class, &probabilities[class]).map(|area| vec![area]),
        None => (0..confusion.len()).map(|class| roc_auc(actual, class, &probabilities[class])).collect(),
    };
    if let Some(areas) = areas {
        metrics.insert("roc_auc".to_owned(), mean(areas.into_iter()));
    }
    metrics
}

/// Precision, recall and F1 of a class against the others.
fn rates(confusion: &[Vec<usize>], class: usize) -> [f64; 3] {
    let right = confusion[class][class];
    let (actual, predicted) = (confusion[class].iter().sum::<usize>(), predicted(confusion, class));
    [ratio(right, predicted), ratio(right, actual), ratio(2 * right, actual + predicted)]
}

/// How often a class was predicted.
fn predicted(confusion: &[Vec<usize>], class: usize) -> usize {
    confusion.iter().map(|row| row[class]).sum()
}

/// The probability that a row of the class scores above one of the others, ties counting half (Mann–Whitney U).
fn roc_auc(actual: &[usize], class: usize, scores: &[f64]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (mut below, mut pairs, mut of_class) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let positives = tied.iter().filter(|row| actual[**row] == class).count() as f64;
        let negatives = tied.len() as f64 - positives;
        pairs += positives * (below + negatives / 2.0);
        below += negatives;
        of_class += positives;
    }
    (of_class > 0.0 && below > 0.0).then(|| pairs / (of_class * below))
}

fn regression(actual: &[f64], predicted: &[f64]) -> Metrics {
    let errors = || actual.iter().zip(predicted).map(|(actual, predicted)| actual - predicted);
    let centre = mean(actual.iter().copied());
    let spread: f64 = actual.iter().map(|value| (value - centre).powi(2)).sum();
    let squares: f64 = errors().map(|error| error * error).sum();
    let mut metrics = Metrics::from([
        ("rmse".to_owned(), (squares / actual.len() as f64).sqrt()),
        ("mae".to_owned(), mean(errors().map(f64::abs))),
    ]);
    if spread > 0.0 {
        metrics.insert("r2".to_owned(), 1.0 - squares / spread);
    }
    metrics
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roc_auc_counts_ties_half() {
        assert_eq!(roc_auc(&[0, 0, 1, 1], 1, &[0.1, 0.4, 0.35, 0.8]), Some(0.75));
        assert_eq!(roc_auc(&[0, 1], 1, &[0.5, 0.5]), Some(0.5));
        assert_eq!(roc_auc(&[1, 1], 1, &[0.5, 0.6]), None);
    }

    #[test]
    fn zero_of_zero_is_zero() {
        // Two rows of the first class, and nothing ever predicted as the second.
        let metrics = classification(&[vec![2, 0], vec![0, 0]], Some(1), &[0, 0], &[vec![0.9, 0.8], vec![0.1, 0.2]]);
        assert_eq!((metrics["precision"], metrics["recall"], metrics["f1"]), (0.0, 0.0, 0.0));
        assert_eq!(metrics["accuracy"], 1.0);
        assert!(!metrics.contains_key("roc_auc"));
    }

    #[test]
    fn a_certain_mistake_has_a_finite_loss() {
        let metrics = classification(&[vec![0, 1], vec![0, 0]], Some(1), &[0], &[vec![0.0], vec![1.0]]);
        assert!((metrics["log_loss"] + f64::EPSILON.ln()).abs() < 1e-12);
    }

    #[test]
    fn errors_of_a_regression() {
        let metrics = regression(&[1.0, 3.0], &[2.0, 3.0]);
        assert_eq!((metrics["mae"], metrics["r2"]), (0.5, 0.5));
        assert!((metrics["rmse"] - 0.5_f64.sqrt()).abs() < 1e-15);
        assert!(!regression(&[1.0, 1.0], &[1.0, 1.0]).contains_key("r2"));
    }
}
