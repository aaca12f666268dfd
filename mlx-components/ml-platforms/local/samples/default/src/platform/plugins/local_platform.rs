//! `sample-local-platform` of this project: the plugin `local` of `mlx-plugins`, with settings of its own.
//!
//! Every call goes to the plugin inside. Change what should be different here: settings, what a method does before and
//! after the call, what `health` looks at.

use mlx_core::prelude::*;
use mlx_plugins::ml_platform::local as shipped;

/// Settings of [`LocalPlatform`].
#[derive(PluginConfig)]
pub struct LocalPlatformConfig {
    /// The settings of the plugin inside.
    #[config(extends)]
    pub base: shipped::LocalConfig,
    // Settings of the project's own go here:
    //
    // /// Who is told when something is wrong.
    // #[config(default = "data-team", non_empty)]
    // pub owner: String,
}

/// Training jobs in the program's own process.
#[mlx_plugin(
    type = "ml_platform",
    name = "sample-local-platform",
    capabilities = ["ml_training"],
    requires = ["type:ml_trainer"],
)]
pub struct LocalPlatform {
    inner: shipped::Local,
}

#[async_trait]
impl Plugin for LocalPlatform {
    type Config = LocalPlatformConfig;

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
impl MlPlatform for LocalPlatform {
    async fn submit(&self, job: TrainingJob) -> Result<String> {
        MlPlatform::submit(&self.inner, job).await
    }

    async fn status(&self, job: &str) -> Result<JobStatus> {
        MlPlatform::status(&self.inner, job).await
    }

    async fn result(&self, job: &str) -> Result<TrainedModel> {
        MlPlatform::result(&self.inner, job).await
    }

    async fn cancel(&self, job: &str) -> Result<()> {
        MlPlatform::cancel(&self.inner, job).await
    }

    async fn jobs(&self) -> Result<Vec<JobStatus>> {
        MlPlatform::jobs(&self.inner).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "sample-local-platform";

    #[test]
    fn it_is_registered() {
        let plugin = registry()
            .get("ml_platform", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_plugin_inside() {
        let settings = |name: &str| {
            let schema = registry()
                .schema("ml_platform", name)
                .expect("the plugin is linked");
            schema
                .get("properties")
                .and_then(JsonValue::as_object)
                .cloned()
                .unwrap_or_default()
        };
        let own = settings(NAME);
        for (name, inherited) in settings("local") {
            assert_eq!(own.get(&name), Some(&inherited), "{name}");
        }
    }
}
