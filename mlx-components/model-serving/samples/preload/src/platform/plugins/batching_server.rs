//! `batching-server`: models from the model registry, which predict long tables in batches.
//!
//! Executed as a step of a pipeline, with the input `{"model": "NAME@VERSION"}`, it loads that model
//! from the registry; without an input, all that it preloads.

use crate::platform::{
    serving::ModelReference,
    utilities::batch::{batches, concatenate},
};
use mlx_core::{
    diagnostics::{listing, nearest},
    prelude::*,
};
use mlx_plugins::model_server::local;
use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{Arc, PoisonError, RwLock},
};

/// Settings of the model server.
#[derive(PluginConfig)]
pub struct BatchingServerConfig {
    /// preload, batch_rows, max_rows.
    #[config(extends)]
    pub base: mlx_components::services::ModelServing,
}

/// Models from the model registry, which predict long tables in batches.
#[mlx_plugin(
    type = "model_server",
    name = "batching-server",
    capabilities = ["classification", "regression", "probabilities", "batch"],
    optional = ["type:model_registry"]
)]
pub struct BatchingServer {
    preload: Vec<ModelReference>,
    batch_rows: NonZeroUsize,
    max_rows: usize,
    registry: Option<Handle<dyn ModelRegistry>>,
    /// A server for each model: a call keeps the one it began with over all of its batches, also
    /// when the model is replaced meanwhile.
    models: RwLock<BTreeMap<String, Arc<local::Local>>>,
}

#[async_trait]
impl Plugin for BatchingServer {
    type Config = BatchingServerConfig;

    async fn initialize(config: BatchingServerConfig, cx: &InitContext) -> Result<Self> {
        let base = config.base;
        let server = BatchingServer {
            preload: ModelReference::list(&base.preload).context("reading `preload`")?,
            batch_rows: usize::try_from(base.batch_rows)
                .and_then(NonZeroUsize::try_from)
                .context("`batch_rows`")?,
            max_rows: usize::try_from(base.max_rows).context("`max_rows`")?,
            registry: cx.get_all::<dyn ModelRegistry>()?.into_iter().next(),
            models: RwLock::default(),
        };
        for model in &server.preload {
            match server.load_from_registry(model).await {
                // It may be this platform that trains the first version; until then, the health says so.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                loaded => drop(loaded?),
            }
        }
        Ok(server)
    }

    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        let models = match cx.input().get("model").and_then(JsonValue::as_str) {
            Some(model) => vec![model.parse()?],
            None => self.preload.clone(),
        };
        let mut loaded = BTreeMap::new();
        for model in &models {
            loaded.insert(&model.name, self.load_from_registry(model).await?);
        }
        Ok(ComponentResult::success().output("loaded", json!(loaded)))
    }

    async fn health(&self) -> Result<Health> {
        let loaded = self.models().await?;
        let missing: Vec<String> = self
            .preload
            .iter()
            .filter(|model| !loaded.contains(&model.name))
            .map(ToString::to_string)
            .collect();
        let health = match missing.is_empty() {
            true => Health::healthy(),
            false => Health::degraded(format!("not loaded: {}", missing.join(", "))),
        };
        Ok(health.detail("models", loaded.len()))
    }
}

impl BatchingServer {
    /// Loads a model, and returns its version.
    async fn load_from_registry(&self, model: &ModelReference) -> Result<u64> {
        let doing = || format!("loading `{model}` from the model registry");
        let Some(registry) = &self.registry else {
            return Err(Error::not_found("the platform has no model registry")).with_context(doing);
        };
        // The number first, so that an alias that moves meanwhile does not matter.
        let version = registry
            .version(&model.name, model.version.clone())
            .await
            .with_context(doing)?;
        let number = VersionRef::Number(version.version);
        let loaded = registry
            .load(&model.name, number)
            .await
            .with_context(doing)?;
        self.load(&model.name, loaded).await.with_context(doing)?;
        Ok(version.version)
    }

    fn server(&self, name: &str) -> Result<Arc<local::Local>> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        models
            .get(name)
            .cloned()
            .ok_or_else(|| unknown(name, &models))
    }
}

fn unknown(name: &str, models: &BTreeMap<String, Arc<local::Local>>) -> Error {
    let known = || models.keys().map(String::as_str);
    let hint =
        nearest(name, known()).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    let loaded = if models.is_empty() {
        "none is".to_owned()
    } else {
        listing(known())
    };
    Error::not_found(format!(
        "no model `{name}` is loaded{hint}; loaded: {loaded}"
    ))
}

#[async_trait]
impl ModelServer for BatchingServer {
    async fn load(&self, name: &str, model: Model) -> Result<()> {
        let server = local::Local::default();
        server.load(name, model).await?;
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        models.insert(name.to_owned(), Arc::new(server));
        Ok(())
    }

    async fn unload(&self, name: &str) -> Result<()> {
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        models
            .remove(name)
            .map(drop)
            .ok_or_else(|| unknown(name, &models))
    }

    async fn predict(&self, name: &str, data: DataFrame) -> Result<DataFrame> {
        let server = self.server(name)?;
        let rows = data.num_rows();
        if rows > self.max_rows {
            return Err(Error::invalid(format!(
                "the table has {rows} rows; `max_rows` is {}",
                self.max_rows
            )));
        }
        if rows <= self.batch_rows.get() {
            return server.predict(name, data).await;
        }
        let mut predicted = Vec::new();
        for batch in batches(&data, self.batch_rows) {
            predicted.push(server.predict(name, batch).await?);
        }
        concatenate(predicted)
    }

    async fn signature(&self, name: &str) -> Result<ModelSignature> {
        self.server(name)?.signature(name).await
    }

    async fn models(&self) -> Result<Vec<String>> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        Ok(models.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::arrow::array::{ArrayRef, Float64Array};

    async fn start(config: JsonValue) -> Result<BatchingServer> {
        let config = mlx_core::config::from_json(config)
            .map_err(|found| Error::from_diagnostics("the settings", found))?;
        BatchingServer::initialize(config, &InitContext::alone("batching-server")).await
    }

    /// Predicts `slope * x`.
    fn line(slope: f64) -> Model {
        let model = json!({"task": "regression", "coefficients": [[slope]], "intercepts": [0.0]});
        Model {
            format: "mlx.linear/1".to_owned(),
            bytes: model.to_string().into_bytes(),
            signature: ModelSignature {
                features: vec!["x".to_owned()],
                target: "y".to_owned(),
                classes: Vec::new(),
            },
            metadata: BTreeMap::new(),
        }
    }

    fn numbers(count: u32) -> Result<DataFrame> {
        let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values((0..count).map(f64::from)));
        DataFrame::from_columns([("x", numbers)])
    }

    #[test]
    fn a_long_table_is_predicted_in_batches() -> Result<()> {
        mlx_core::block_on(async {
            let server = start(json!({"batch_rows": 3, "max_rows": 10})).await?;
            server.load("line", line(2.0)).await?;
            let predicted = server.predict("line", numbers(10)?).await?;
            let expected: Vec<f64> = (0..10).map(|x| f64::from(x) * 2.0).collect();
            assert_eq!(predicted.f64_column("prediction")?, expected);
            let error = server.predict("line", numbers(11)?).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            Ok(())
        })
    }

    #[test]
    fn a_model_is_replaced_and_forgotten() -> Result<()> {
        mlx_core::block_on(async {
            let server = start(json!({})).await?;
            server.load("line", line(2.0)).await?;
            server.load("line", line(3.0)).await?;
            let predicted = server.predict("line", numbers(2)?).await?;
            assert_eq!(predicted.f64_column("prediction")?, [0.0, 3.0]);
            server.unload("line").await?;
            let error = server.predict("line", numbers(1)?).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            Ok(())
        })
    }

    #[test]
    fn what_is_missing_at_the_start_is_said_by_the_health() -> Result<()> {
        mlx_core::block_on(async {
            let server = start(json!({"preload": "churn@champion"})).await?;
            let health = server.health().await?;
            assert_eq!(health.status, HealthStatus::Degraded);
            assert_eq!(health.message, "not loaded: churn@champion");
            Ok(())
        })
    }
}
