//! `spark`: a plugin of type `data_processor`, to be written.
//!
//! It is registered, reads its settings, and starts. What is left to do:
//!
//! 1. Keep what the plugin works with, such as a client, in [`Spark`], and make it in `initialize`,
//!    which fails when the plugin could not work.
//! 2. Write the methods of the contract `DataProcessor`. Each returns an error for now, which names the line to replace.
//! 3. Let `health` ask what the plugin depends on, within a second or two.
//! 4. Replace the tests at the end that say what is not written yet.

use mlx_core::prelude::*;

/// The plugin's name in `platform.yaml`.
const NAME: &str = "spark";

/// Settings of [`Spark`].
#[derive(PluginConfig)]
pub struct SparkConfig {
    // Settings of the plugin's own go here:
    //
    // /// How long a call may take.
    // #[config(default = "30s")]
    // pub timeout: Duration,
}

/// Tables are processed by a Spark cluster: its settings, and a plugin to be written.
#[mlx_plugin(
    type = "data_processor",
    name = "spark",
    capabilities = ["sql", "batch"],
    data_formats = ["arrow"],
)]
pub struct Spark {
    /// What it was started with.
    pub config: SparkConfig,
}

#[async_trait]
impl Plugin for Spark {
    type Config = SparkConfig;

    async fn initialize(config: Self::Config, _cx: &InitContext) -> Result<Self> {
        Ok(Self { config })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::degraded("not written yet"))
    }
}

#[async_trait]
impl DataProcessor for Spark {
    async fn process_data(&self, _data: DataFrame) -> Result<DataFrame> {
        Err(Error::not_implemented(NAME, "process_data"))
    }

    async fn validate_schema(&self, _data: DataFrame) -> Result<SchemaReport> {
        Err(Error::not_implemented(NAME, "validate_schema"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::arrow::datatypes::Schema;
    use std::sync::Arc;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({})
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
            .get("data_processor", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_component() {
        let schema = registry()
            .schema("data_processor", NAME)
            .expect("the plugin is linked");
        let own = schema.get("properties").expect("there are settings");
        assert!(own.get("remote").is_some());
        assert!(own.get("app_name").is_some());
        assert!(own.get("token").is_some());
        assert!(own.get("query").is_some());
        assert!(own.get("shuffle_partitions").is_some());
        assert!(own.get("query_timeout").is_some());
    }

    #[test]
    fn it_starts_and_says_what_is_not_written() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn DataProcessor>(NAME, settings())
                .await?;
            assert_eq!(
                Handle::health(&plugin).await?.status,
                HealthStatus::Degraded
            );
            unwritten(plugin.process_data(frame()).await);
            unwritten(plugin.validate_schema(frame()).await);
            plugin.shutdown().await
        })
    }
}
