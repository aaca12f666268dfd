//! `bigquery`: a plugin of type `data_source`, to be written.
//!
//! It is registered, reads its settings, and starts. What is left to do:
//!
//! 1. Keep what the plugin works with, such as a client, in [`Bigquery`], and make it in `initialize`,
//!    which fails when the plugin could not work.
//! 2. Write the methods of the contract `DataSource`. Each returns an error for now, which names the line to replace.
//! 3. Let `health` ask what the plugin depends on, within a second or two.
//! 4. Replace the tests at the end that say what is not written yet.
//!
//! These methods have a default, which yours replace: `query_with`, `query_stream`, `write`, `tables`, `table_schema`.

use mlx_core::prelude::*;

/// The plugin's name in `platform.yaml`.
const NAME: &str = "bigquery";

/// Settings of [`Bigquery`].
#[derive(PluginConfig)]
pub struct BigqueryConfig {
    // Settings of the plugin's own go here:
    //
    // /// How long a call may take.
    // #[config(default = "30s")]
    // pub timeout: Duration,
}

/// A Google BigQuery project as a data source.
#[mlx_plugin(
    type = "data_source",
    name = "bigquery",
    capabilities = ["sql", "bind_parameters"],
    conflicts_with = ["snowflake"],
    data_formats = ["arrow"],
)]
pub struct Bigquery {
    /// What it was started with.
    pub config: BigqueryConfig,
}

#[async_trait]
impl Plugin for Bigquery {
    type Config = BigqueryConfig;

    async fn initialize(config: Self::Config, _cx: &InitContext) -> Result<Self> {
        Ok(Self { config })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::degraded("not written yet"))
    }
}

#[async_trait]
impl DataSource for Bigquery {
    async fn connect(&self) -> Result<ConnectionInfo> {
        Err(Error::not_implemented(NAME, "connect"))
    }

    async fn query(&self, _sql: &str) -> Result<DataFrame> {
        Err(Error::not_implemented(NAME, "query"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({
            "project_id": "my-project-123",
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
            .get("data_source", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_component() {
        let schema = registry()
            .schema("data_source", NAME)
            .expect("the plugin is linked");
        let own = schema.get("properties").expect("there are settings");
        assert!(own.get("project_id").is_some());
        assert!(own.get("dataset").is_some());
        assert!(own.get("location").is_some());
        assert!(own.get("credentials_path").is_some());
        assert!(own.get("credentials").is_some());
        assert!(own.get("maximum_bytes_billed").is_some());
        assert!(own.get("use_query_cache").is_some());
        assert!(own.get("query_timeout").is_some());
    }

    #[test]
    fn it_starts_and_says_what_is_not_written() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn DataSource>(NAME, settings())
                .await?;
            assert_eq!(
                Handle::health(&plugin).await?.status,
                HealthStatus::Degraded
            );
            unwritten(plugin.connect().await);
            unwritten(plugin.query("select 1").await);
            plugin.shutdown().await
        })
    }
}
