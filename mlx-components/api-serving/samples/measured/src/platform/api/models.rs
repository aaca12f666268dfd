//! What requests and answers consist of.

use mlx_core::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A row of features by name. Those that the model does not know are ignored, so that a row may
/// carry its own id.
pub type Row = BTreeMap<String, JsonValue>;

/// The body of a prediction's request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictRequest {
    /// The rows to predict.
    pub rows: Vec<Row>,
}

/// The answer to a [`PredictRequest`]: one prediction for each row, in order.
#[derive(Clone, Debug, Serialize)]
pub struct PredictResponse {
    /// The model.
    pub model: String,
    /// The predictions.
    pub predictions: Vec<Prediction>,
}

/// What is predicted for a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// A class or a number; null for a number that JSON cannot express.
    pub prediction: JsonValue,
    /// Of a classification, the probability of each class.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub probabilities: BTreeMap<String, f64>,
}

/// A model that is offered.
#[derive(Clone, Debug, Serialize)]
pub struct ModelInfo {
    /// Its name in the address.
    pub name: String,
    /// The features that it needs.
    pub features: Vec<String>,
    /// What it predicts.
    pub target: String,
    /// The classes; empty for a regression.
    pub classes: Vec<String>,
}

/// The models that are offered, to those who may use them.
#[derive(Clone, Debug, Serialize)]
pub struct ModelList {
    /// The models, by name.
    pub models: Vec<ModelInfo>,
}

/// How the service is.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// `alive`, `ready` or `not_ready`.
    pub status: &'static str,
    /// The service.
    pub service: String,
    /// The models that are offered and not loaded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// An error.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorDetail {
    /// For programs: `not_found`.
    pub code: &'static str,
    /// For people.
    pub message: String,
}
