//! `sample-local-features` of this project: the plugin `local` of `mlx-plugins`, with settings of its own.
//!
//! Every call goes to the plugin inside. Change what should be different here: settings, what a method does before and
//! after the call, what `health` looks at.

use mlx_core::prelude::*;
use mlx_plugins::feature_store::local as shipped;

/// Settings of [`LocalFeatures`].
#[derive(PluginConfig)]
pub struct LocalFeaturesConfig {
    /// The settings of the plugin inside.
    #[config(extends)]
    pub base: shipped::LocalConfig,
    // Settings of the project's own go here:
    //
    // /// Who is told when something is wrong.
    // #[config(default = "data-team", non_empty)]
    // pub owner: String,
}

/// Features in a SQLite database.
#[mlx_plugin(
    type = "feature_store",
    name = "sample-local-features",
    capabilities = ["offline", "online", "point_in_time", "ttl", "materialize"],
    data_formats = ["arrow"],
)]
pub struct LocalFeatures {
    inner: shipped::LocalFeatures,
}

#[async_trait]
impl Plugin for LocalFeatures {
    type Config = LocalFeaturesConfig;

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
impl FeatureStore for LocalFeatures {
    async fn register(&self, view: FeatureView) -> Result<()> {
        FeatureStore::register(&self.inner, view).await
    }

    async fn views(&self) -> Result<Vec<FeatureView>> {
        FeatureStore::views(&self.inner).await
    }

    async fn delete_view(&self, name: &str) -> Result<()> {
        FeatureStore::delete_view(&self.inner, name).await
    }

    async fn write(&self, view: &str, rows: DataFrame, target: FeatureTarget) -> Result<u64> {
        FeatureStore::write(&self.inner, view, rows, target).await
    }

    async fn historical_features(
        &self,
        entities: DataFrame,
        request: FeatureRequest,
    ) -> Result<DataFrame> {
        FeatureStore::historical_features(&self.inner, entities, request).await
    }

    async fn materialize(&self, range: Materialization) -> Result<u64> {
        FeatureStore::materialize(&self.inner, range).await
    }

    async fn online_features(
        &self,
        entities: DataFrame,
        request: FeatureRequest,
    ) -> Result<DataFrame> {
        FeatureStore::online_features(&self.inner, entities, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({
            "path": "target/tests/local-features.db",
        })
    }

    const NAME: &str = "sample-local-features";

    #[test]
    fn it_is_registered() {
        let plugin = registry()
            .get("feature_store", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_plugin_inside() {
        let settings = |name: &str| {
            let schema = registry()
                .schema("feature_store", name)
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
                .create::<dyn FeatureStore>(NAME, settings())
                .await?;
            assert!(plugin.views().await?.is_empty());
            plugin.shutdown().await
        })
    }
}
