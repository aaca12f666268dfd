//! `sample-local-registry` of this project: the plugin `local` of `mlx-plugins`, with settings of its own.
//!
//! Every call goes to the plugin inside. Change what should be different here: settings, what a method does before and
//! after the call, what `health` looks at.

use mlx_core::prelude::*;
use mlx_plugins::model_registry::local as shipped;

/// Settings of [`LocalRegistry`].
#[derive(PluginConfig)]
pub struct LocalRegistryConfig {
    /// The settings of the plugin inside.
    #[config(extends)]
    pub base: shipped::LocalConfig,
    // Settings of the project's own go here:
    //
    // /// Who is told when something is wrong.
    // #[config(default = "data-team", non_empty)]
    // pub owner: String,
}

/// Versions of models in a folder.
#[mlx_plugin(
    type = "model_registry",
    name = "sample-local-registry",
    capabilities = ["versioning", "aliases", "artifacts"],
)]
pub struct LocalRegistry {
    inner: shipped::LocalRegistry,
}

#[async_trait]
impl Plugin for LocalRegistry {
    type Config = LocalRegistryConfig;

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
impl ModelRegistry for LocalRegistry {
    async fn register(&self, entry: ModelEntry) -> Result<ModelVersion> {
        ModelRegistry::register(&self.inner, entry).await
    }

    async fn version(&self, name: &str, version: VersionRef) -> Result<ModelVersion> {
        ModelRegistry::version(&self.inner, name, version).await
    }

    async fn load(&self, name: &str, version: VersionRef) -> Result<Model> {
        ModelRegistry::load(&self.inner, name, version).await
    }

    async fn models(&self) -> Result<Vec<String>> {
        ModelRegistry::models(&self.inner).await
    }

    async fn versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
        ModelRegistry::versions(&self.inner, name).await
    }

    async fn set_alias(&self, name: &str, alias: &str, version: u64) -> Result<()> {
        ModelRegistry::set_alias(&self.inner, name, alias, version).await
    }

    async fn delete_version(&self, name: &str, version: u64) -> Result<()> {
        ModelRegistry::delete_version(&self.inner, name, version).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({
            "path": "target/tests/local-registry",
        })
    }

    const NAME: &str = "sample-local-registry";

    #[test]
    fn it_is_registered() {
        let plugin = registry()
            .get("model_registry", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_plugin_inside() {
        let settings = |name: &str| {
            let schema = registry()
                .schema("model_registry", name)
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

    #[test]
    fn it_starts_and_works() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn ModelRegistry>(NAME, settings())
                .await?;
            assert!(plugin.models().await?.is_empty());
            plugin.shutdown().await
        })
    }
}
