//! `ml_trainer`: plugins that fit models.

use super::{DataFrame, Model};
use crate::{async_trait, contract, diagnostics::Result};
use std::collections::BTreeMap;

/// Fits models to data and measures how good they are.
#[contract(
    name = "ml_trainer",
    cardinality = "many",
    capabilities = ["classification", "regression", "clustering", "evaluation"]
)]
#[async_trait]
pub trait MlTrainer {
    /// Fits a model.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the data does not fit the request.
    async fn train(&self, request: TrainingRequest) -> Result<TrainedModel>;

    /// Measures a model on data that has the target column.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a model of a foreign format.
    #[idempotent]
    async fn evaluate(&self, model: Model, data: DataFrame) -> Result<Evaluation>;
}

/// What to train.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrainingRequest {
    /// The rows to learn from.
    pub data: DataFrame,
    /// The column to predict.
    pub target: String,
    /// The columns to predict from; empty means all others.
    pub features: Vec<String>,
    /// The class that counts as positive in [`Evaluation`]; the trainer's own choice when `None`.
    pub positive: Option<String>,
    /// Settings of this training that replace those of the plugin.
    pub parameters: BTreeMap<String, serde_json::Value>,
}

impl TrainingRequest {
    /// Predict `target` from all other columns of `data`.
    pub fn new(data: DataFrame, target: impl Into<String>) -> Self {
        TrainingRequest {
            data,
            target: target.into(),
            features: Vec::new(),
            positive: None,
            parameters: BTreeMap::new(),
        }
    }

    /// Predict from these columns only.
    #[must_use]
    pub fn features<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.features = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the class that counts as positive.
    #[must_use]
    pub fn positive(mut self, class: impl Into<String>) -> Self {
        self.positive = Some(class.into());
        self
    }

    /// Sets a setting of this training.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }
}

/// A fitted model, and how the fit went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrainedModel {
    /// The model.
    pub model: Model,
    /// Measurements on the training rows, such as `train_accuracy`.
    pub metrics: BTreeMap<String, f64>,
    /// The settings that were in force.
    pub parameters: BTreeMap<String, serde_json::Value>,
}

impl TrainedModel {
    /// A fitted model.
    pub fn new(model: Model) -> Self {
        TrainedModel { model, metrics: BTreeMap::new(), parameters: BTreeMap::new() }
    }
}

/// How good a model is.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// How many rows it was measured on.
    pub rows: usize,
    /// Named measurements: `accuracy`, `precision`, `recall`, `f1`, `roc_auc`, `log_loss`, `rmse`, `r2`.
    pub metrics: BTreeMap<String, f64>,
    /// The classes, in the order of the confusion matrix; empty for a regression.
    pub classes: Vec<String>,
    /// Counts by true class (row) and predicted class (column).
    pub confusion: Vec<Vec<usize>>,
}
