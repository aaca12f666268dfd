//! `feast`: a plugin of type `feature_store`, to be written.
//!
//! It is registered, reads its settings, and starts. What is left to do:
//!
//! 1. Keep what the plugin works with, such as a client, in [`Feast`], and make it in `initialize`,
//!    which fails when the plugin could not work.
//! 2. Write the methods of the contract `FeatureStore`. Each returns an error for now, which names the line to replace.
//! 3. Let `health` ask what the plugin depends on, within a second or two.
//! 4. Replace the tests at the end that say what is not written yet.

use mlx_core::prelude::*;

/// The plugin's name in `platform.yaml`.
const NAME: &str = "feast";

/// Settings of [`Feast`].
#[derive(PluginConfig)]
pub struct FeastConfig {
    // Settings of the plugin's own go here:
    //
    // /// How long a call may take.
    // #[config(default = "30s")]
    // pub timeout: Duration,
}

/// A Feast feature server as the feature store.
#[mlx_plugin(
    type = "feature_store",
    name = "feast",
    capabilities = ["offline", "online", "point_in_time", "ttl", "materialize"],
    data_formats = ["arrow"],
)]
pub struct Feast {
    /// What it was started with.
    pub config: FeastConfig,
}

#[async_trait]
impl Plugin for Feast {
    type Config = FeastConfig;

    async fn initialize(config: Self::Config, _cx: &InitContext) -> Result<Self> {
        Ok(Self { config })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::degraded("not written yet"))
    }
}

#[async_trait]
impl FeatureStore for Feast {
    async fn register(&self, _view: FeatureView) -> Result<()> {
        Err(Error::not_implemented(NAME, "register"))
    }

    async fn views(&self) -> Result<Vec<FeatureView>> {
        Err(Error::not_implemented(NAME, "views"))
    }

    async fn delete_view(&self, _name: &str) -> Result<()> {
        Err(Error::not_implemented(NAME, "delete_view"))
    }

    async fn write(&self, _view: &str, _rows: DataFrame, _target: FeatureTarget) -> Result<u64> {
        Err(Error::not_implemented(NAME, "write"))
    }

    async fn historical_features(
        &self,
        _entities: DataFrame,
        _request: FeatureRequest,
    ) -> Result<DataFrame> {
        Err(Error::not_implemented(NAME, "historical_features"))
    }

    async fn materialize(&self, _range: Materialization) -> Result<u64> {
        Err(Error::not_implemented(NAME, "materialize"))
    }

    async fn online_features(
        &self,
        _entities: DataFrame,
        _request: FeatureRequest,
    ) -> Result<DataFrame> {
        Err(Error::not_implemented(NAME, "online_features"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::arrow::datatypes::Schema;
    use std::{sync::Arc, time::SystemTime};

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({
            "feast_project": "example",
        })
    }

    /// A table without rows and columns.
    fn frame() -> DataFrame {
        DataFrame::empty(Arc::new(Schema::empty()))
    }

    /// A request for one feature.
    fn features() -> FeatureRequest {
        FeatureRequest::new([FeatureRef::new("v", "f")])
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
            .get("feature_store", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_component() {
        let schema = registry()
            .schema("feature_store", NAME)
            .expect("the plugin is linked");
        let own = schema.get("properties").expect("there are settings");
        assert!(own.get("url").is_some());
        assert!(own.get("feast_project").is_some());
        assert!(own.get("token").is_some());
        assert!(own.get("full_feature_names").is_some());
        assert!(own.get("registry_path").is_some());
        assert!(own.get("timeout").is_some());
    }

    #[test]
    fn it_starts_and_says_what_is_not_written() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn FeatureStore>(NAME, settings())
                .await?;
            assert_eq!(
                Handle::health(&plugin).await?.status,
                HealthStatus::Degraded
            );
            unwritten(plugin.register(FeatureView::new("v")).await);
            unwritten(plugin.views().await);
            unwritten(plugin.delete_view("v").await);
            unwritten(plugin.write("v", frame(), FeatureTarget::default()).await);
            unwritten(plugin.historical_features(frame(), features()).await);
            unwritten(
                plugin
                    .materialize(Materialization::until(SystemTime::UNIX_EPOCH))
                    .await,
            );
            unwritten(plugin.online_features(frame(), features()).await);
            plugin.shutdown().await
        })
    }
}
