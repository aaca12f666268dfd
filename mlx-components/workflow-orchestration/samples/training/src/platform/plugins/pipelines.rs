//! `pipelines`: runs the pipelines of the folder `pipelines` in this process.
//!
//! ```
//! # use mlx_core::prelude::*;
//! # async fn run(platform: &Platform) -> Result<()> {
//! use sample::platform::workflows;
//!
//! let engine = platform.get_default::<dyn WorkflowEngine>()?;
//! let pipeline = workflows::load("pipelines".as_ref(), "check")?;
//! let run = engine.submit(WorkflowRequest::new(pipeline)).await?;
//! let result = engine.result(&run).await?.into_result()?;
//! # Ok(())
//! # }
//! ```
//!
//! Executed as a step, it reads every pipeline of the folder, and fails with everything that is
//! wrong with one.

use crate::platform::workflows;
use mlx_core::{pipeline::PipelineResult, prelude::*};
use mlx_plugins::workflow_engine::local;

/// Settings of the engine.
#[derive(PluginConfig)]
pub struct PipelinesConfig {
    /// pipelines_dir, runs, queue, records_dir.
    #[config(extends)]
    pub base: mlx_components::services::WorkflowOrchestration,
    /// Ended runs whose results are kept.
    #[config(default = 64, range(1..=100_000))]
    pub keep_results: usize,
}

/// Runs the pipelines of a folder in this process.
#[mlx_plugin(
    type = "workflow_engine",
    name = "pipelines",
    capabilities = ["retries", "deadlines", "functions", "typed_data", "records"],
    // What steps may execute is started before the engine, and stopped after it.
    optional = [
        "type:configuration",
        "type:data_processor",
        "type:data_source",
        "type:experiment_tracker",
        "type:feature_store",
        "type:llm_provider",
        "type:ml_platform",
        "type:ml_trainer",
        "type:model_registry",
        "type:model_server",
        "type:monitoring",
        "type:plugin_system",
        "type:security",
        "type:serving_platform",
        "type:vector_database",
    ]
)]
pub struct Pipelines {
    folder: PathBuf,
    engine: local::Local,
}

#[async_trait]
impl Plugin for Pipelines {
    type Config = PipelinesConfig;

    async fn initialize(config: PipelinesConfig, cx: &InitContext) -> Result<Self> {
        let base = config.base;
        let settings = local::LocalConfig {
            runs: usize::from(base.runs),
            queue: usize::try_from(base.queue).context("`queue`")?,
            keep_results: config.keep_results,
            records: base.records_dir,
            artifacts: None,
        };
        let engine = local::Local::initialize(settings, cx).await?;
        Ok(Pipelines {
            folder: base.pipelines_dir,
            engine,
        })
    }

    async fn execute(&self, _: &ExecutionContext) -> Result<ComponentResult> {
        let names = workflows::names(&self.folder)?;
        for name in &names {
            workflows::load(&self.folder, name)?;
        }
        Ok(ComponentResult::success().output("pipelines", names))
    }

    async fn health(&self) -> Result<Health> {
        let health = self.engine.health().await?;
        Ok(match workflows::names(&self.folder) {
            Ok(names) => health.detail("pipelines", names),
            Err(error) => Health::degraded(error.to_string()),
        })
    }

    async fn shutdown(&self) -> Result<()> {
        self.engine.shutdown().await
    }
}

#[async_trait]
impl WorkflowEngine for Pipelines {
    async fn submit(&self, request: WorkflowRequest) -> Result<String> {
        self.engine.submit(request).await
    }

    async fn status(&self, run: &str) -> Result<WorkflowRun> {
        self.engine.status(run).await
    }

    async fn result(&self, run: &str) -> Result<PipelineResult> {
        self.engine.result(run).await
    }

    async fn cancel(&self, run: &str) -> Result<()> {
        self.engine.cancel(run).await
    }

    async fn runs(&self) -> Result<Vec<WorkflowRun>> {
        self.engine.runs().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::pipeline::Step;
    use std::path::Path;

    async fn platform() -> Result<Platform> {
        let folder = "pipelines";
        let engine = json!({
            "type": "workflow_engine", "name": "pipelines", "config": {"pipelines_dir": folder},
        });
        let composition = json!({ "plugins": [engine] }).to_string();
        registry()
            .activate(Composition::from_json(&composition)?)
            .await
    }

    #[test]
    fn a_pipeline_of_the_folder_runs() -> Result<()> {
        mlx_core::block_on(async {
            let platform = platform().await?;
            let engine = platform.get_default::<dyn WorkflowEngine>()?;
            let folder = Path::new("pipelines");
            let pipeline = workflows::load(folder, "check")?;
            let run = engine.submit(WorkflowRequest::new(pipeline)).await?;
            let result = engine.result(&run).await?.into_result()?;
            let step = result.step("pipelines").context("the step `pipelines`")?;
            assert!(
                step.result.outputs["pipelines"]
                    .to_string()
                    .contains("check")
            );
            assert_eq!(engine.status(&run).await?.status, ComponentStatus::Success);
            platform.shutdown().await
        })
    }

    #[test]
    fn a_step_that_fails_fails_its_run() -> Result<()> {
        mlx_core::block_on(async {
            let platform = platform().await?;
            let engine = platform.get_default::<dyn WorkflowEngine>()?;
            let step = Step::call("fail", |_| async { Err(Error::failed("no data today")) });
            let request = WorkflowRequest::new(Pipeline::new("nightly").step(step));
            let run = engine.submit(request).await?;
            let error = engine.result(&run).await?.into_result().unwrap_err();
            assert!(format!("{error:?}").contains("no data today"), "{error:?}");
            assert_eq!(engine.runs().await?.len(), 1);
            platform.shutdown().await
        })
    }
}
