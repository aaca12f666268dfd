//! Predicts with linear models in this process.
//!
//! ```yaml
//! plugins:
//!   - type: model_server
//!     name: local
//! ```
//!
//! It loads the format `mlx.linear/1`, which the `smartcore` trainer writes. A prediction takes the features by name,
//! whatever else the table has and in whatever order, and answers with the column `prediction` (text for a
//! classification, a number for a regression) and `probability_<class>` for each class.
//!
//! A model is replaced in one step: a call predicts all its rows with the model that had the name when it began.
//!
//! What it does not do: keep models over a restart (load them from a registry), other formats, and batching of calls.

#[cfg(test)]
mod tests;

use crate::linear_model::{FORMAT, LinearModel, Matrix};
use mlx_core::{
    diagnostics::{listing, nearest},
    prelude::*,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Values (rows times features) from which a prediction goes to a thread for long work. Below, which is about 0.1 ms,
/// the way there and back would cost more than it spares others.
const LONG: usize = 50_000;

/// Linear models in this process.
#[mlx_plugin(
    type = "model_server",
    name = "local",
    capabilities = ["classification", "regression", "probabilities", "batch"],
    data_formats = ["mlx.linear/1"],
    stability = "beta"
)]
#[derive(Debug, Default)]
pub struct Local {
    models: RwLock<BTreeMap<String, Arc<LinearModel>>>,
}

#[async_trait]
impl Plugin for Local {
    type Config = NoConfig;

    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Local::default())
    }

    async fn health(&self) -> Result<Health> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner).len();
        Ok(Health::healthy().detail("models", models))
    }
}

impl Local {
    fn get(&self, name: &str) -> Result<Arc<LinearModel>> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        models.get(name).cloned().ok_or_else(|| unknown(name, &models))
    }
}

fn unknown(name: &str, models: &BTreeMap<String, Arc<LinearModel>>) -> Error {
    let known = || models.keys().map(String::as_str);
    let hint = match nearest(name, known()) {
        Some(near) => format!(", did you mean `{near}`?"),
        None => String::new(),
    };
    let loaded = if models.is_empty() { "none is".to_owned() } else { format!("loaded: {}", listing(known())) };
    Error::not_found(format!("no model `{name}` is loaded{hint}; {loaded}"))
}

#[async_trait]
impl ModelServer for Local {
    async fn load(&self, name: &str, model: Model) -> Result<()> {
        if name.is_empty() {
            return Err(Error::invalid("a model is loaded under a name, and this one is empty"));
        }
        if model.format != FORMAT {
            return Err(Error::unsupported(format!(
                "the model `{name}` has the format `{}`; this server loads `{FORMAT}`",
                model.format
            )));
        }
        let linear = LinearModel::read(&model).with_context(|| format!("loading the model `{name}`"))?;
        self.models.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::new(linear));
        Ok(())
    }

    async fn unload(&self, name: &str) -> Result<()> {
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        match models.remove(name) {
            Some(_) => Ok(()),
            None => Err(unknown(name, &models)),
        }
    }

    async fn predict(&self, name: &str, data: DataFrame) -> Result<DataFrame> {
        let model = self.get(name)?;
        let size = data.num_rows().saturating_mul(model.signature().features.len());
        let predicted = if size < LONG {
            predict(&model, &data)
        } else {
            match tokio::task::spawn_blocking(move || predict(&model, &data)).await {
                Ok(predicted) => predicted,
                Err(error) => Err(Error::internal(error.to_string())),
            }
        };
        predicted.with_context(|| format!("predicting with the model `{name}`"))
    }

    async fn signature(&self, name: &str) -> Result<ModelSignature> {
        Ok(self.get(name)?.signature().clone())
    }

    async fn models(&self) -> Result<Vec<String>> {
        Ok(self.models.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect())
    }
}

fn predict(model: &LinearModel, data: &DataFrame) -> Result<DataFrame> {
    let features = Matrix::from_table(data, &model.signature().features)?;
    model.predict(&features)?.into_table(model.signature())
}
