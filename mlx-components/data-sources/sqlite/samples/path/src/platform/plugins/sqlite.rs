//! `sample-sqlite` of this project: the plugin `sqlite` of `mlx-plugins`, with settings of its own.
//!
//! Every call goes to the plugin inside. Change what should be different here: settings, what a method does before and
//! after the call, what `health` looks at.

use mlx_core::arrow::datatypes::SchemaRef;
use mlx_core::prelude::*;
use mlx_plugins::data_source::sqlite as shipped;

/// Settings of [`Sqlite`].
#[derive(PluginConfig)]
pub struct SqliteConfig {
    /// The settings of the plugin inside.
    #[config(extends)]
    pub base: shipped::SqliteConfig,
    // Settings of the project's own go here:
    //
    // /// Who is told when something is wrong.
    // #[config(default = "data-team", non_empty)]
    // pub owner: String,
}

/// A SQLite database as a data source.
#[mlx_plugin(
    type = "data_source",
    name = "sample-sqlite",
    capabilities = ["sql", "bind_parameters", "write", "catalog"],
    data_formats = ["arrow"],
)]
pub struct Sqlite {
    inner: shipped::Sqlite,
}

#[async_trait]
impl Plugin for Sqlite {
    type Config = SqliteConfig;

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
impl DataSource for Sqlite {
    async fn connect(&self) -> Result<ConnectionInfo> {
        DataSource::connect(&self.inner).await
    }

    async fn query(&self, sql: &str) -> Result<DataFrame> {
        DataSource::query(&self.inner, sql).await
    }

    async fn query_with(&self, sql: &str, parameters: Vec<JsonValue>) -> Result<DataFrame> {
        DataSource::query_with(&self.inner, sql, parameters).await
    }

    async fn query_stream(
        &self,
        sql: &str,
        parameters: Vec<JsonValue>,
    ) -> Result<BoxStream<DataFrame>> {
        DataSource::query_stream(&self.inner, sql, parameters).await
    }

    async fn write(&self, table: &str, data: DataFrame, mode: WriteMode) -> Result<u64> {
        DataSource::write(&self.inner, table, data, mode).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        DataSource::tables(&self.inner).await
    }

    async fn table_schema(&self, table: &str) -> Result<SchemaRef> {
        DataSource::table_schema(&self.inner, table).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({
            "path": ":memory:",
        })
    }

    const NAME: &str = "sample-sqlite";

    #[test]
    fn it_is_registered() {
        let plugin = registry()
            .get("data_source", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_plugin_inside() {
        let settings = |name: &str| {
            let schema = registry()
                .schema("data_source", name)
                .expect("the plugin is linked");
            schema
                .get("properties")
                .and_then(JsonValue::as_object)
                .cloned()
                .unwrap_or_default()
        };
        let own = settings(NAME);
        for (name, inherited) in settings("sqlite") {
            assert_eq!(own.get(&name), Some(&inherited), "{name}");
        }
    }

    #[test]
    fn it_starts_and_works() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn DataSource>(NAME, settings())
                .await?;
            let answer = plugin.connect().await?;
            assert!(!answer.product.is_empty());
            plugin.shutdown().await
        })
    }
}
