//! What requests are answered from: the models that are offered, and how their predictions are made.

use super::{
    auth::Caller,
    models::{ModelInfo, Prediction, Row},
};
use mlx_core::{
    arrow::array::{ArrayRef, Float64Array},
    diagnostics::listing,
    prelude::*,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// Settings of the API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The service's name.
    pub app_name: String,
    /// The origins from which browsers may call; empty for any, `None` for none.
    pub cors: Option<Vec<String>>,
    /// Bytes that the body of a request may have.
    pub max_body: usize,
    /// Rows that a prediction may have.
    pub max_rows: usize,
    /// How long a request may take.
    pub timeout: Duration,
}

/// The plugins that the API asks, beside the model servers.
#[derive(Clone, Default)]
pub struct Plugins {
    /// Knows the callers. Without it, nobody is asked for a key.
    pub security: Option<Handle<dyn Security>>,
    /// Takes what is measured.
    pub monitoring: Option<Handle<dyn Monitoring>>,
}

/// What requests are answered from.
pub struct Api {
    pub(super) settings: Settings,
    pub(super) plugins: Plugins,
    deployed: RwLock<BTreeMap<String, Deployed>>,
    /// The last failure that was not the caller's. Callers are not told what it was; the health is.
    last_failure: Mutex<Option<String>>,
}

/// A model that is offered.
#[derive(Clone)]
pub struct Deployed {
    /// The name that the model server knows it by.
    pub model: String,
    /// Who predicts.
    pub server: Handle<dyn ModelServer>,
}

impl Api {
    /// Offers nothing yet.
    pub fn new(settings: Settings, plugins: Plugins) -> Arc<Self> {
        let (deployed, last_failure) = (RwLock::default(), Mutex::default());
        Arc::new(Api {
            settings,
            plugins,
            deployed,
            last_failure,
        })
    }

    /// Offers a model.
    pub fn deploy(&self, name: String, deployed: Deployed) {
        self.deployed
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, deployed);
    }

    /// Offers a model no more.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when it was not offered.
    pub fn undeploy(&self, name: &str) -> Result<()> {
        let mut deployed = self
            .deployed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match deployed.remove(name) {
            Some(_) => Ok(()),
            None => {
                let known = listing(deployed.keys().map(String::as_str));
                Err(Error::not_found(format!(
                    "no model `{name}` is deployed; deployed: {known}"
                )))
            }
        }
    }

    /// What is offered.
    pub fn deployed(&self) -> BTreeMap<String, Deployed> {
        self.deployed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether callers have to show a key.
    pub fn requires_key(&self) -> bool {
        self.plugins.security.is_some()
    }

    /// The last failure that was not a caller's.
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn failed(&self, error: &Error) {
        *self
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    /// The models that are offered and not loaded.
    pub(super) async fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (name, Deployed { model, server }) in self.deployed() {
            if server.signature(&model).await.is_err() {
                missing.push(name);
            }
        }
        missing
    }

    /// The models that the caller may use.
    pub(super) async fn models(&self, caller: &Caller) -> Result<Vec<ModelInfo>> {
        let mut models = Vec::new();
        for (name, deployed) in self.deployed() {
            if self.may(caller, "predict", &name).await? {
                match deployed.server.signature(&deployed.model).await {
                    Ok(signature) => models.push(info(name, signature)),
                    // Deployed, and not loaded: see `/ready`.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(models)
    }

    /// What a model takes and gives.
    pub(super) async fn model(&self, caller: &Caller, name: &str) -> Result<ModelInfo> {
        let (_, signature) = self.find(caller, name).await?;
        Ok(info(name.to_owned(), signature))
    }

    /// Predicts.
    pub(super) async fn predict(
        &self,
        caller: &Caller,
        name: &str,
        rows: &[Row],
    ) -> Result<Vec<Prediction>> {
        let (Deployed { model, server }, signature) = self.find(caller, name).await?;
        let (count, most) = (rows.len(), self.settings.max_rows);
        if count > most {
            return Err(Error::invalid(format!(
                "the request has {count} rows; {most} are allowed"
            )));
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let predicted = server.predict(&model, table(rows, &signature)?).await?;
        predictions(&predicted, &signature, count)
    }

    async fn find(&self, caller: &Caller, name: &str) -> Result<(Deployed, ModelSignature)> {
        self.require(caller, "predict", name).await?;
        let deployed = self.deployed().remove(name);
        let deployed =
            deployed.ok_or_else(|| Error::not_found(format!("there is no model `{name}`")))?;
        let signature = deployed.server.signature(&deployed.model).await?;
        Ok((deployed, signature))
    }
}

fn info(name: String, signature: ModelSignature) -> ModelInfo {
    let ModelSignature {
        features,
        target,
        classes,
    } = signature;
    ModelInfo {
        name,
        features,
        target,
        classes,
    }
}

/// The features of the rows, in the order of the model.
fn table(rows: &[Row], signature: &ModelSignature) -> Result<DataFrame> {
    let mut faults = Vec::new();
    let mut columns = Vec::with_capacity(signature.features.len());
    for feature in &signature.features {
        let values = rows
            .iter()
            .map(|row| row.get(feature).and_then(JsonValue::as_f64));
        let column: Float64Array = values.collect();
        if let Some(row) = column.iter().position(|value| value.is_none()) {
            let what = if rows[row].contains_key(feature) {
                "is no number"
            } else {
                "is missing"
            };
            faults.push(format!("`{feature}` {what} in row {row}"));
        }
        columns.push((feature, Arc::new(column) as ArrayRef));
    }
    match faults.is_empty() {
        true => DataFrame::from_columns(columns),
        false => Err(Error::invalid(faults.join("; "))),
    }
}

fn predictions(
    predicted: &DataFrame,
    signature: &ModelSignature,
    rows: usize,
) -> Result<Vec<Prediction>> {
    let is_number = predicted.column("prediction")?.data_type().is_numeric();
    let values: Vec<JsonValue> = match is_number {
        true => predicted
            .f64_column("prediction")?
            .into_iter()
            .map(JsonValue::from)
            .collect(),
        false => predicted
            .string_column("prediction")?
            .into_iter()
            .map(JsonValue::from)
            .collect(),
    };
    if values.len() != rows {
        return Err(Error::failed(format!(
            "the model server answered {} rows for {rows}",
            values.len()
        )));
    }
    let mut predictions: Vec<Prediction> = values
        .into_iter()
        .map(|prediction| Prediction {
            prediction,
            probabilities: BTreeMap::new(),
        })
        .collect();
    for class in &signature.classes {
        let column = predicted.f64_column(&format!("probability_{class}"))?;
        for (prediction, probability) in predictions.iter_mut().zip(column) {
            prediction.probabilities.insert(class.clone(), probability);
        }
    }
    Ok(predictions)
}
