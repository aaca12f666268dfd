//! From scores to answers.

use mlx_core::{
    arrow::array::{ArrayRef, Float64Array, StringArray},
    contracts::{DataFrame, ModelSignature},
    diagnostics::Result,
};
use std::sync::Arc;

/// What a model predicts for some rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Predictions {
    /// A number for each row.
    Numbers(Vec<f64>),
    /// For each class, its probability in each row; they add up to 1.
    Probabilities(Vec<Vec<f64>>),
}

impl Predictions {
    /// Of the scores for the second class. Neither tail loses digits: 1 − p would.
    pub(super) fn binary(scores: &[f64]) -> Self {
        let probability = |sign: f64| scores.iter().map(|z| sigmoid(sign * z)).collect();
        Predictions::Probabilities(vec![probability(-1.0), probability(1.0)])
    }

    /// Of the scores for each class.
    pub(super) fn multinomial(mut scores: Vec<Vec<f64>>) -> Self {
        for row in 0..scores.first().map_or(0, Vec::len) {
            // The greatest exponent is 0, so that nothing overflows and the sum is at least 1.
            let greatest = scores.iter().map(|class| class[row]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|class| (class[row] - greatest).exp()).sum();
            for class in &mut scores {
                class[row] = (class[row] - greatest).exp() / sum;
            }
        }
        Predictions::Probabilities(scores)
    }

    /// The most probable class of each row, by its position; the first of equals.
    pub(crate) fn classes(probabilities: &[Vec<f64>]) -> Vec<usize> {
        (0..probabilities.first().map_or(0, Vec::len))
            .map(|row| {
                let better = |best: usize, class: usize| {
                    if probabilities[class][row] > probabilities[best][row] { class } else { best }
                };
                (1..probabilities.len()).fold(0, better)
            })
            .collect()
    }

    /// The table with the column `prediction`, and `probability_<class>` for each class.
    ///
    /// # Errors
    /// What Arrow reports.
    pub(crate) fn into_table(self, signature: &ModelSignature) -> Result<DataFrame> {
        match self {
            Predictions::Numbers(numbers) => {
                let numbers: ArrayRef = Arc::new(Float64Array::from(numbers));
                DataFrame::from_columns([("prediction", numbers)])
            }
            Predictions::Probabilities(probabilities) => {
                let names = &signature.classes;
                let predicted = Predictions::classes(&probabilities);
                let predicted = StringArray::from_iter_values(predicted.into_iter().map(|class| &names[class]));
                let mut columns = vec![("prediction".to_owned(), Arc::new(predicted) as ArrayRef)];
                for (name, numbers) in names.iter().zip(probabilities) {
                    columns.push((format!("probability_{name}"), Arc::new(Float64Array::from(numbers))));
                }
                DataFrame::from_columns(columns)
            }
        }
    }
}

/// 1 / (1 + e⁻ᶻ) without overflow: the exponent is never positive.
fn sigmoid(z: f64) -> f64 {
    let e = (-z.abs()).exp();
    if z >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}
