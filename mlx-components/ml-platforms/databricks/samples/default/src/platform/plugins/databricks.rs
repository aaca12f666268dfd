//! `databricks`: a plugin of type `ml_platform`, to be written.
//!
//! It is registered, reads its settings, and starts. What is left to do:
//!
//! 1. Keep what the plugin works with, such as a client, in [`Databricks`], and make it in `initialize`,
//!    which fails when the plugin could not work.
//! 2. Write the methods of the contract `MlPlatform`. Each returns an error for now, which names the line to replace.
//! 3. Let `health` ask what the plugin depends on, within a second or two.
//! 4. Replace the tests at the end that say what is not written yet.

use mlx_core::prelude::*;

/// The plugin's name in `platform.yaml`.
const NAME: &str = "databricks";

/// Settings of [`Databricks`].
#[derive(PluginConfig)]
pub struct DatabricksConfig {
    // Settings of the plugin's own go here:
    //
    // /// How long a call may take.
    // #[config(default = "30s")]
    // pub timeout: Duration,
}

/// A Databricks workspace as the ML platform.
#[mlx_plugin(
    type = "ml_platform",
    name = "databricks",
    capabilities = ["data_processing", "ml_training", "model_serving"],
    conflicts_with = ["outerbounds", "sagemaker"],
)]
pub struct Databricks {
    /// What it was started with.
    pub config: DatabricksConfig,
}

#[async_trait]
impl Plugin for Databricks {
    type Config = DatabricksConfig;

    async fn initialize(config: Self::Config, _cx: &InitContext) -> Result<Self> {
        Ok(Self { config })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::degraded("not written yet"))
    }
}

#[async_trait]
impl MlPlatform for Databricks {
    async fn submit(&self, _job: TrainingJob) -> Result<String> {
        Err(Error::not_implemented(NAME, "submit"))
    }

    async fn status(&self, _job: &str) -> Result<JobStatus> {
        Err(Error::not_implemented(NAME, "status"))
    }

    async fn result(&self, _job: &str) -> Result<TrainedModel> {
        Err(Error::not_implemented(NAME, "result"))
    }

    async fn cancel(&self, _job: &str) -> Result<()> {
        Err(Error::not_implemented(NAME, "cancel"))
    }

    async fn jobs(&self) -> Result<Vec<JobStatus>> {
        Err(Error::not_implemented(NAME, "jobs"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::arrow::datatypes::Schema;
    use std::sync::Arc;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({
            "host": "https://adb-1234567890123456.7.azuredatabricks.net",
            "token": "for-tests",
        })
    }

    /// A table without rows and columns.
    fn frame() -> DataFrame {
        DataFrame::empty(Arc::new(Schema::empty()))
    }

    /// The method is not written yet, and the error says where to write it.
    #[track_caller]
    fn unwritten<T>(result: Result<T>) {
        let error = result.err().expect("it is written: replace this test");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        let place = error
            .diagnostics()
            .first()
            .and_then(|finding| finding.location.as_ref());
        let file = place.map(|place| place.source.name().to_owned());
        assert_eq!(file, Some(file!().replace('\\', "/")), "{error:?}");
    }

    #[test]
    fn it_is_registered() {
        let plugin = registry()
            .get("ml_platform", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_component() {
        let schema = registry()
            .schema("ml_platform", NAME)
            .expect("the plugin is linked");
        let own = schema.get("properties").expect("there are settings");
        assert!(own.get("host").is_some());
        assert!(own.get("token").is_some());
        assert!(own.get("cluster_policy").is_some());
        assert!(own.get("spark_version").is_some());
        assert!(own.get("node_type").is_some());
        assert!(own.get("workers").is_some());
        assert!(own.get("catalog").is_some());
        assert!(own.get("schema").is_some());
        assert!(own.get("poll_interval").is_some());
        assert!(own.get("job_timeout").is_some());
    }

    #[test]
    fn it_starts_and_says_what_is_not_written() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn MlPlatform>(NAME, settings())
                .await?;
            assert_eq!(
                Handle::health(&plugin).await?.status,
                HealthStatus::Degraded
            );
            let job = TrainingJob::new("job", TrainingRequest::new(frame(), "target"));
            unwritten(plugin.submit(job).await);
            unwritten(plugin.status("1").await);
            unwritten(plugin.result("1").await);
            unwritten(plugin.cancel("1").await);
            unwritten(plugin.jobs().await);
            plugin.shutdown().await
        })
    }
}
