//! `sample-local-vectors` of this project: the plugin `local` of `mlx-plugins`, with settings of its own.
//!
//! Every call goes to the plugin inside. Change what should be different here: settings, what a method does before and
//! after the call, what `health` looks at.

use mlx_core::prelude::*;
use mlx_plugins::vector_database::local as shipped;

/// Settings of [`LocalVectors`].
#[derive(PluginConfig)]
pub struct LocalVectorsConfig {
    /// The settings of the plugin inside.
    #[config(extends)]
    pub base: shipped::LocalConfig,
    // Settings of the project's own go here:
    //
    // /// Who is told when something is wrong.
    // #[config(default = "data-team", non_empty)]
    // pub owner: String,
}

/// Vectors in memory and in a SQLite file, searched exactly.
#[mlx_plugin(
    type = "vector_database",
    name = "sample-local-vectors",
    capabilities = ["cosine", "dot", "euclidean", "exact", "filters", "persistent"],
    swap = "handover",
)]
pub struct LocalVectors {
    inner: shipped::LocalVectors,
}

#[async_trait]
impl Plugin for LocalVectors {
    type Config = LocalVectorsConfig;

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

    async fn hand_over(&self) -> Result<mlx_core::plugin::Handover> {
        Plugin::hand_over(&self.inner).await
    }
}

#[async_trait]
impl VectorDatabase for LocalVectors {
    async fn create_collection(&self, collection: VectorCollection) -> Result<()> {
        VectorDatabase::create_collection(&self.inner, collection).await
    }

    async fn collections(&self) -> Result<Vec<VectorCollection>> {
        VectorDatabase::collections(&self.inner).await
    }

    async fn delete_collection(&self, name: &str) -> Result<()> {
        VectorDatabase::delete_collection(&self.inner, name).await
    }

    async fn upsert(&self, collection: &str, points: Vec<VectorPoint>) -> Result<()> {
        VectorDatabase::upsert(&self.inner, collection, points).await
    }

    async fn query(&self, collection: &str, query: VectorQuery) -> Result<Vec<VectorMatch>> {
        VectorDatabase::query(&self.inner, collection, query).await
    }

    async fn get(&self, collection: &str, ids: Vec<String>) -> Result<Vec<VectorPoint>> {
        VectorDatabase::get(&self.inner, collection, ids).await
    }

    async fn delete(&self, collection: &str, ids: Vec<String>) -> Result<u64> {
        VectorDatabase::delete(&self.inner, collection, ids).await
    }

    async fn delete_where(&self, collection: &str, filter: VectorFilter) -> Result<u64> {
        VectorDatabase::delete_where(&self.inner, collection, filter).await
    }

    async fn count(&self, collection: &str, filter: Option<VectorFilter>) -> Result<u64> {
        VectorDatabase::count(&self.inner, collection, filter).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({})
    }

    const NAME: &str = "sample-local-vectors";

    #[test]
    fn it_is_registered() {
        let plugin = registry()
            .get("vector_database", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_plugin_inside() {
        let settings = |name: &str| {
            let schema = registry()
                .schema("vector_database", name)
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
                .create::<dyn VectorDatabase>(NAME, settings())
                .await?;
            let collection = VectorCollection::new("tests", 2, VectorDistance::Cosine);
            plugin.create_collection(collection).await?;
            let points = vec![
                VectorPoint::new("east", [1.0, 0.0]),
                VectorPoint::new("north", [0.0, 1.0]),
            ];
            plugin.upsert("tests", points).await?;
            let found = plugin
                .query("tests", VectorQuery::new([0.9, 0.1], 1))
                .await?;
            assert_eq!(found[0].id, "east");
            plugin.shutdown().await
        })
    }
}
