//! `sample-jsonl` of this project: the plugin `jsonl` of `mlx-plugins`, with settings of its own.
//!
//! Every call goes to the plugin inside. Change what should be different here: settings, what a method does before and
//! after the call, what `health` looks at.

use mlx_core::prelude::*;
use mlx_plugins::experiment_tracker::jsonl as shipped;
use std::collections::BTreeMap;

/// Settings of [`Jsonl`].
#[derive(PluginConfig)]
pub struct JsonlConfig {
    /// The settings of the plugin inside.
    #[config(extends)]
    pub base: shipped::JsonlConfig,
    // Settings of the project's own go here:
    //
    // /// Who is told when something is wrong.
    // #[config(default = "data-team", non_empty)]
    // pub owner: String,
}

/// Runs of experiments as JSON lines.
#[mlx_plugin(
    type = "experiment_tracker",
    name = "sample-jsonl",
    capabilities = ["parameters", "metrics", "tags", "artifacts", "datasets", "search"],
    data_formats = ["jsonl"],
)]
pub struct Jsonl {
    inner: shipped::JsonlTracker,
}

#[async_trait]
impl Plugin for Jsonl {
    type Config = JsonlConfig;

    async fn initialize(config: Self::Config, cx: &InitContext) -> Result<Self> {
        let inner = Plugin::initialize(config.base, cx).await?;
        Ok(Self { inner })
    }

    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        Plugin::execute(&self.inner, cx).await
    }

    async fn health(&self) -> Result<Health> {
        Plugin::health(&self.inner).await
    }

    async fn shutdown(&self) -> Result<()> {
        Plugin::shutdown(&self.inner).await
    }
}

#[async_trait]
impl ExperimentTracker for Jsonl {
    async fn start_run(&self, run: NewRun) -> Result<Run> {
        ExperimentTracker::start_run(&self.inner, run).await
    }

    async fn log_params(&self, run: &str, parameters: BTreeMap<String, String>) -> Result<()> {
        ExperimentTracker::log_params(&self.inner, run, parameters).await
    }

    async fn log_metrics(&self, run: &str, metrics: Vec<Metric>) -> Result<()> {
        ExperimentTracker::log_metrics(&self.inner, run, metrics).await
    }

    async fn set_tags(&self, run: &str, tags: BTreeMap<String, String>) -> Result<()> {
        ExperimentTracker::set_tags(&self.inner, run, tags).await
    }

    async fn log_artifact(&self, run: &str, path: &str, contents: Vec<u8>) -> Result<()> {
        ExperimentTracker::log_artifact(&self.inner, run, path, contents).await
    }

    async fn artifact(&self, run: &str, path: &str) -> Result<Vec<u8>> {
        ExperimentTracker::artifact(&self.inner, run, path).await
    }

    async fn end_run(&self, run: &str, status: RunStatus) -> Result<()> {
        ExperimentTracker::end_run(&self.inner, run, status).await
    }

    async fn run(&self, run: &str) -> Result<Run> {
        ExperimentTracker::run(&self.inner, run).await
    }

    async fn runs(&self, experiment: &str) -> Result<Vec<Run>> {
        ExperimentTracker::runs(&self.inner, experiment).await
    }

    async fn metric_history(&self, run: &str, name: &str) -> Result<Vec<Metric>> {
        ExperimentTracker::metric_history(&self.inner, run, name).await
    }

    async fn log_dataset(&self, run: &str, dataset: Dataset) -> Result<()> {
        ExperimentTracker::log_dataset(&self.inner, run, dataset).await
    }

    async fn search_runs(&self, search: RunSearch) -> Result<Vec<Run>> {
        ExperimentTracker::search_runs(&self.inner, search).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({
            "path": "target/tests/jsonl-tracker",
        })
    }

    const NAME: &str = "sample-jsonl";

    #[test]
    fn it_is_registered() {
        let plugin = registry()
            .get("experiment_tracker", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_plugin_inside() {
        let settings = |name: &str| {
            let schema = registry()
                .schema("experiment_tracker", name)
                .expect("the plugin is linked");
            schema
                .get("properties")
                .and_then(JsonValue::as_object)
                .cloned()
                .unwrap_or_default()
        };
        let own = settings(NAME);
        for (name, inherited) in settings("jsonl") {
            assert_eq!(own.get(&name), Some(&inherited), "{name}");
        }
    }

    #[test]
    fn it_starts_and_works() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn ExperimentTracker>(NAME, settings())
                .await?;
            let run = plugin.start_run(NewRun::new("tests", "first")).await?;
            plugin
                .log_metrics(&run.id, vec![Metric::new("loss", 0.5)])
                .await?;
            plugin.end_run(&run.id, RunStatus::Finished).await?;
            assert_eq!(plugin.run(&run.id).await?.metrics.get("loss"), Some(&0.5));
            plugin.shutdown().await
        })
    }
}
