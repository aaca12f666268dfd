//! `wandb`: a plugin of type `experiment_tracker`, to be written.
//!
//! It is registered, reads its settings, and starts. What is left to do:
//!
//! 1. Keep what the plugin works with, such as a client, in [`Wandb`], and make it in `initialize`,
//!    which fails when the plugin could not work.
//! 2. Write the methods of the contract `ExperimentTracker`. Each returns an error for now, which names the line to replace.
//! 3. Let `health` ask what the plugin depends on, within a second or two.
//! 4. Replace the tests at the end that say what is not written yet.
//!
//! These methods have a default, which yours replace: `log_dataset`, `search_runs`.

use mlx_core::prelude::*;
use std::collections::BTreeMap;

/// The plugin's name in `platform.yaml`.
const NAME: &str = "wandb";

/// Settings of [`Wandb`].
#[derive(PluginConfig)]
pub struct WandbConfig {
    // Settings of the plugin's own go here:
    //
    // /// How long a call may take.
    // #[config(default = "30s")]
    // pub timeout: Duration,
}

/// Weights & Biases as the experiment tracker.
#[mlx_plugin(
    type = "experiment_tracker",
    name = "wandb",
    capabilities = ["parameters", "metrics", "tags", "artifacts"],
    conflicts_with = ["mlflow"],
)]
pub struct Wandb {
    /// What it was started with.
    pub config: WandbConfig,
}

#[async_trait]
impl Plugin for Wandb {
    type Config = WandbConfig;

    async fn initialize(config: Self::Config, _cx: &InitContext) -> Result<Self> {
        Ok(Self { config })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::degraded("not written yet"))
    }
}

#[async_trait]
impl ExperimentTracker for Wandb {
    async fn start_run(&self, _run: NewRun) -> Result<Run> {
        Err(Error::not_implemented(NAME, "start_run"))
    }

    async fn log_params(&self, _run: &str, _parameters: BTreeMap<String, String>) -> Result<()> {
        Err(Error::not_implemented(NAME, "log_params"))
    }

    async fn log_metrics(&self, _run: &str, _metrics: Vec<Metric>) -> Result<()> {
        Err(Error::not_implemented(NAME, "log_metrics"))
    }

    async fn set_tags(&self, _run: &str, _tags: BTreeMap<String, String>) -> Result<()> {
        Err(Error::not_implemented(NAME, "set_tags"))
    }

    async fn log_artifact(&self, _run: &str, _path: &str, _contents: Vec<u8>) -> Result<()> {
        Err(Error::not_implemented(NAME, "log_artifact"))
    }

    async fn artifact(&self, _run: &str, _path: &str) -> Result<Vec<u8>> {
        Err(Error::not_implemented(NAME, "artifact"))
    }

    async fn end_run(&self, _run: &str, _status: RunStatus) -> Result<()> {
        Err(Error::not_implemented(NAME, "end_run"))
    }

    async fn run(&self, _run: &str) -> Result<Run> {
        Err(Error::not_implemented(NAME, "run"))
    }

    async fn runs(&self, _experiment: &str) -> Result<Vec<Run>> {
        Err(Error::not_implemented(NAME, "runs"))
    }

    async fn metric_history(&self, _run: &str, _name: &str) -> Result<Vec<Metric>> {
        Err(Error::not_implemented(NAME, "metric_history"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({
            "api_key": "for-tests",
        })
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
            .get("experiment_tracker", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_component() {
        let schema = registry()
            .schema("experiment_tracker", NAME)
            .expect("the plugin is linked");
        let own = schema.get("properties").expect("there are settings");
        assert!(own.get("base_url").is_some());
        assert!(own.get("api_key").is_some());
        assert!(own.get("entity").is_some());
        assert!(own.get("default_project").is_some());
        assert!(own.get("mode").is_some());
        assert!(own.get("dir").is_some());
        assert!(own.get("timeout").is_some());
    }

    #[test]
    fn it_starts_and_says_what_is_not_written() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn ExperimentTracker>(NAME, settings())
                .await?;
            assert_eq!(
                Handle::health(&plugin).await?.status,
                HealthStatus::Degraded
            );
            unwritten(plugin.start_run(NewRun::new("experiment", "run")).await);
            unwritten(plugin.log_params("1", BTreeMap::new()).await);
            unwritten(plugin.log_metrics("1", Vec::new()).await);
            unwritten(plugin.set_tags("1", BTreeMap::new()).await);
            unwritten(plugin.log_artifact("1", "a", Vec::new()).await);
            unwritten(plugin.artifact("1", "a").await);
            unwritten(plugin.end_run("1", RunStatus::Finished).await);
            unwritten(plugin.run("1").await);
            unwritten(plugin.runs("e").await);
            unwritten(plugin.metric_history("1", "m").await);
            plugin.shutdown().await
        })
    }
}
