//! `postgres`: a plugin of type `data_source`, to be written.
//!
//! It is registered, reads its settings, and starts. What is left to do:
//!
//! 1. Keep what the plugin works with, such as a client, in [`Postgres`], and make it in `initialize`,
//!    which fails when the plugin could not work.
//! 2. Write the methods of the contract `DataSource`. Each returns an error for now, which names the line to replace.
//! 3. Let `health` ask what the plugin depends on, within a second or two.
//! 4. Replace the tests at the end that say what is not written yet.
//!
//! These methods have a default, which yours replace: `query_with`, `query_stream`, `write`, `tables`, `table_schema`.

use mlx_core::prelude::*;

/// The plugin's name in `platform.yaml`.
const NAME: &str = "postgres";

/// Settings of [`Postgres`].
#[derive(PluginConfig)]
pub struct PostgresConfig {
    // Settings of the plugin's own go here:
    //
    // /// How long a call may take.
    // #[config(default = "30s")]
    // pub timeout: Duration,
}

/// A PostgreSQL database as a data source.
#[mlx_plugin(
    type = "data_source",
    name = "postgres",
    capabilities = ["sql", "bind_parameters"],
    data_formats = ["arrow"],
)]
pub struct Postgres {
    /// What it was started with.
    pub config: PostgresConfig,
}

#[async_trait]
impl Plugin for Postgres {
    type Config = PostgresConfig;

    async fn initialize(config: Self::Config, _cx: &InitContext) -> Result<Self> {
        Ok(Self { config })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::degraded("not written yet"))
    }
}

#[async_trait]
impl DataSource for Postgres {
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
            "database": "sales",
            "password": "for-tests",
            "user": "ada",
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
        assert!(own.get("host").is_some());
        assert!(own.get("port").is_some());
        assert!(own.get("database").is_some());
        assert!(own.get("user").is_some());
        assert!(own.get("password").is_some());
        assert!(own.get("schema").is_some());
        assert!(own.get("sslmode").is_some());
        assert!(own.get("connections").is_some());
        assert!(own.get("connect_timeout").is_some());
        assert!(own.get("statement_timeout").is_some());
        assert!(own.get("application_name").is_some());
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
