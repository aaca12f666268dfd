//! `sample-local-plugins` of this project: the plugin `local` of `mlx-plugins`, with settings of its own.
//!
//! Every call goes to the plugin inside. Change what should be different here: settings, what a method does before and
//! after the call, what `health` looks at.

use mlx_core::plugin::PluginStatus;
use mlx_core::prelude::*;
use mlx_plugins::plugin_system::local as shipped;

/// Settings of [`LocalPlugins`].
#[derive(PluginConfig)]
pub struct LocalPluginsConfig {
    /// The settings of the plugin inside.
    #[config(extends)]
    pub base: mlx_core::NoConfig,
    // Settings of the project's own go here:
    //
    // /// Who is told when something is wrong.
    // #[config(default = "data-team", non_empty)]
    // pub owner: String,
}

/// What plugins the program has, and where each of them stands, for other plugins and for people.
#[mlx_plugin(
    type = "plugin_system",
    name = "sample-local-plugins",
    capabilities = ["discovery", "schemas", "status"],
)]
pub struct LocalPlugins {
    inner: shipped::LocalPlugins,
}

#[async_trait]
impl Plugin for LocalPlugins {
    type Config = LocalPluginsConfig;

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
impl PluginSystem for LocalPlugins {
    async fn plugins(&self) -> Result<Vec<PluginInfo>> {
        PluginSystem::plugins(&self.inner).await
    }

    async fn schema(&self, kind: &str, name: &str) -> Result<JsonValue> {
        PluginSystem::schema(&self.inner, kind, name).await
    }

    async fn status(&self) -> Result<Vec<PluginStatus>> {
        PluginSystem::status(&self.inner).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({})
    }

    const NAME: &str = "sample-local-plugins";

    #[test]
    fn it_is_registered() {
        let plugin = registry()
            .get("plugin_system", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_plugin_inside() {
        let settings = |name: &str| {
            let schema = registry()
                .schema("plugin_system", name)
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
                .create::<dyn PluginSystem>(NAME, settings())
                .await?;
            // Nobody else is there.
            assert!(plugin.status().await?.is_empty());
            plugin.shutdown().await
        })
    }
}
