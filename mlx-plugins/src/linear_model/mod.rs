//! Linear models as data, format `mlx.linear/1`: what the `smartcore` trainer writes and the `local` server reads.
//!
//! The bytes of such a model are one JSON object, beside the [`ModelSignature`] that names features and classes:
//!
//! ```json
//! {
//!   "task": "binary",
//!   "standardization": { "mean": [14.2, 19.2], "scale": [3.4, 4.1] },
//!   "coefficients": [[0.31, 0.28]],
//!   "intercepts": [-0.43]
//! }
//! ```
//!
//! | `task` | classes | rows of `coefficients` and `intercepts` |
//! |---|---|---|
//! | `regression` | none | one |
//! | `binary` | two | one, of the second class against the first |
//! | `multinomial` | three or more | one for each class |
//!
//! A row of coefficients has one number for each feature, in the order of the signature. With x the features, each
//! replaced by (x − mean) / scale if there is a standardization, a row's score is z = w·x + b. A regression gives z;
//! a binary model the probability 1 / (1 + e⁻ᶻ) of its second class; a multinomial one softmax(z). All numbers are
//! finite, and every scale is above 0. Reading gives back the bits that were written.

// With one of the two only, what the other needs is not used.
#![cfg_attr(
    not(all(feature = "ml-trainer-smartcore", feature = "model-server-local")),
    allow(dead_code, unused_imports)
)]

mod features;
mod predictions;
#[cfg(test)]
mod tests;

pub(crate) use features::{Matrix, column_type};
pub(crate) use predictions::Predictions;

use mlx_core::{
    contracts::{Model, ModelSignature},
    diagnostics::{Error, Result},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the format, in [`Model::format`].
pub(crate) const FORMAT: &str = "mlx.linear/1";

/// A linear model that has been checked: it can predict without looking at itself again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LinearModel {
    signature: ModelSignature,
    body: Body,
}

/// What the bytes of a model hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    pub(crate) task: Task,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) standardization: Option<Standardization>,
    pub(crate) coefficients: Vec<Vec<f64>>,
    pub(crate) intercepts: Vec<f64>,
}

/// What a model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    /// A number.
    Regression,
    /// One of two classes.
    Binary,
    /// One of three or more classes.
    Multinomial,
}

impl Task {
    /// The task of a model with so many classes; there is none for a single class.
    pub(crate) fn of_classes(classes: usize) -> Option<Self> {
        match classes {
            0 => Some(Task::Regression),
            1 => None,
            2 => Some(Task::Binary),
            _ => Some(Task::Multinomial),
        }
    }
}

/// What is done to each feature before it meets its coefficient: (x − mean) / scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standardization {
    pub(crate) mean: Vec<f64>,
    pub(crate) scale: Vec<f64>,
}

impl LinearModel {
    /// A model of these numbers.
    ///
    /// # Errors
    /// Invalid when they do not fit the signature or each other, or are not finite.
    pub(crate) fn new(signature: ModelSignature, body: Body) -> Result<Self> {
        check(&signature, &body).map_err(|why| Error::invalid(format!("the model is damaged: {why}")))?;
        Ok(LinearModel { signature, body })
    }

    /// Reads a model.
    ///
    /// # Errors
    /// Unsupported for another format, Invalid for bytes that are not what the format says.
    pub(crate) fn read(model: &Model) -> Result<Self> {
        if model.format != FORMAT {
            return Err(Error::unsupported(format!(
                "the model has the format `{}`; only `{FORMAT}` can be read here",
                model.format
            )));
        }
        let body =
            serde_json::from_slice(&model.bytes).map_err(|error| Error::from(error).context("the model is damaged"))?;
        LinearModel::new(model.signature.clone(), body)
    }

    /// The model as data, with these notes.
    ///
    /// # Errors
    /// What the JSON writer reports.
    pub(crate) fn write(&self, metadata: BTreeMap<String, String>) -> Result<Model> {
        Ok(Model {
            format: FORMAT.to_owned(),
            bytes: serde_json::to_vec(&self.body)?,
            signature: self.signature.clone(),
            metadata,
        })
    }

    /// What the model takes and gives.
    pub(crate) fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    /// The numbers.
    pub(crate) fn body(&self) -> &Body {
        &self.body
    }

    /// The scores of every row: one vector for each row of coefficients.
    fn scores(&self, features: &Matrix) -> Result<Vec<Vec<f64>>> {
        let mut scores = Vec::with_capacity(self.body.intercepts.len());
        for (weights, intercept) in self.body.coefficients.iter().zip(&self.body.intercepts) {
            let mut z = vec![*intercept; features.rows()];
            for (column, weight) in weights.iter().enumerate() {
                let (mean, scale) = match &self.body.standardization {
                    Some(s) => (s.mean[column], s.scale[column]),
                    None => (0.0, 1.0),
                };
                for (z, x) in z.iter_mut().zip(features.column(column)) {
                    *z += weight * ((x - mean) / scale);
                }
            }
            if let Some(row) = z.iter().position(|z| !z.is_finite()) {
                return Err(Error::invalid(format!(
                    "the features of row {row} are too large for the model: its score is no finite number"
                )));
            }
            scores.push(z);
        }
        Ok(scores)
    }

    /// Predicts each row.
    ///
    /// # Errors
    /// Invalid when a row's features are so large that the score overflows.
    pub(crate) fn predict(&self, features: &Matrix) -> Result<Predictions> {
        let mut scores = self.scores(features)?;
        match self.body.task {
            Task::Regression => Ok(Predictions::Numbers(scores.swap_remove(0))),
            Task::Binary => Ok(Predictions::binary(&scores[0])),
            Task::Multinomial => Ok(Predictions::multinomial(scores)),
        }
    }
}

/// Says what is wrong with a model.
fn check(signature: &ModelSignature, body: &Body) -> Result<(), String> {
    let (features, classes) = (signature.features.len(), signature.classes.len());
    if features == 0 {
        return Err("it has no features".to_owned());
    }
    for (what, names) in [("feature", &signature.features), ("class", &signature.classes)] {
        if let Some(name) = repeated(names) {
            return Err(format!("it has the {what} `{name}` twice"));
        }
    }
    if Task::of_classes(classes) != Some(body.task) {
        return Err(format!("its task is {:?} and it has {classes} classes", body.task));
    }
    let rows = if body.task == Task::Multinomial { classes } else { 1 };
    for (what, found, expected) in
        [("rows of coefficients", body.coefficients.len(), rows), ("intercepts", body.intercepts.len(), rows)]
    {
        if found != expected {
            return Err(format!("it has {found} {what} and should have {expected}"));
        }
    }
    let standardization = body.standardization.iter().flat_map(|s| [("means", &s.mean), ("scales", &s.scale)]);
    let per_feature = body.coefficients.iter().map(|row| ("coefficients in a row", row)).chain(standardization);
    for (what, numbers) in per_feature {
        if numbers.len() != features {
            return Err(format!("it has {} {what} for {features} features", numbers.len()));
        }
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err(format!("its {what} are not all finite numbers"));
        }
    }
    if !body.intercepts.iter().all(|number| number.is_finite()) {
        return Err("its intercepts are not all finite numbers".to_owned());
    }
    if body.standardization.iter().flat_map(|s| &s.scale).any(|scale| *scale <= 0.0) {
        return Err("its scales are not all above 0".to_owned());
    }
    Ok(())
}

/// The first name that appears again later.
pub(crate) fn repeated(names: &[String]) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    names.iter().map(String::as_str).find(|name| !seen.insert(*name))
}
