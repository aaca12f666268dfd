//! `qdrant`: a plugin of type `vector_database`, to be written.
//!
//! It is registered, reads its settings, and starts. What is left to do:
//!
//! 1. Keep what the plugin works with, such as a client, in [`Qdrant`], and make it in `initialize`,
//!    which fails when the plugin could not work.
//! 2. Write the methods of the contract `VectorDatabase`. Each returns an error for now, which names the line to replace.
//! 3. Let `health` ask what the plugin depends on, within a second or two.
//! 4. Replace the tests at the end that say what is not written yet.

use mlx_core::prelude::*;

/// The plugin's name in `platform.yaml`.
const NAME: &str = "qdrant";

/// Settings of [`Qdrant`].
#[derive(PluginConfig)]
pub struct QdrantConfig {
    // Settings of the plugin's own go here:
    //
    // /// How long a call may take.
    // #[config(default = "30s")]
    // pub timeout: Duration,
}

/// A Qdrant server as the vector database.
#[mlx_plugin(
    type = "vector_database",
    name = "qdrant",
    capabilities = ["cosine", "dot", "euclidean", "approximate", "filters", "persistent"],
)]
pub struct Qdrant {
    /// What it was started with.
    pub config: QdrantConfig,
}

#[async_trait]
impl Plugin for Qdrant {
    type Config = QdrantConfig;

    async fn initialize(config: Self::Config, _cx: &InitContext) -> Result<Self> {
        Ok(Self { config })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::degraded("not written yet"))
    }
}

#[async_trait]
impl VectorDatabase for Qdrant {
    async fn create_collection(&self, _collection: VectorCollection) -> Result<()> {
        Err(Error::not_implemented(NAME, "create_collection"))
    }

    async fn collections(&self) -> Result<Vec<VectorCollection>> {
        Err(Error::not_implemented(NAME, "collections"))
    }

    async fn delete_collection(&self, _name: &str) -> Result<()> {
        Err(Error::not_implemented(NAME, "delete_collection"))
    }

    async fn upsert(&self, _collection: &str, _points: Vec<VectorPoint>) -> Result<()> {
        Err(Error::not_implemented(NAME, "upsert"))
    }

    async fn query(&self, _collection: &str, _query: VectorQuery) -> Result<Vec<VectorMatch>> {
        Err(Error::not_implemented(NAME, "query"))
    }

    async fn get(&self, _collection: &str, _ids: Vec<String>) -> Result<Vec<VectorPoint>> {
        Err(Error::not_implemented(NAME, "get"))
    }

    async fn delete(&self, _collection: &str, _ids: Vec<String>) -> Result<u64> {
        Err(Error::not_implemented(NAME, "delete"))
    }

    async fn delete_where(&self, _collection: &str, _filter: VectorFilter) -> Result<u64> {
        Err(Error::not_implemented(NAME, "delete_where"))
    }

    async fn count(&self, _collection: &str, _filter: Option<VectorFilter>) -> Result<u64> {
        Err(Error::not_implemented(NAME, "count"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({})
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
            .get("vector_database", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_component() {
        let schema = registry()
            .schema("vector_database", NAME)
            .expect("the plugin is linked");
        let own = schema.get("properties").expect("there are settings");
        assert!(own.get("url").is_some());
        assert!(own.get("api_key").is_some());
        assert!(own.get("collection_prefix").is_some());
        assert!(own.get("on_disk").is_some());
        assert!(own.get("replication_factor").is_some());
        assert!(own.get("timeout").is_some());
    }

    #[test]
    fn it_starts_and_says_what_is_not_written() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn VectorDatabase>(NAME, settings())
                .await?;
            assert_eq!(
                Handle::health(&plugin).await?.status,
                HealthStatus::Degraded
            );
            let collection = VectorCollection::new("c", 2, VectorDistance::Cosine);
            unwritten(plugin.create_collection(collection).await);
            unwritten(plugin.collections().await);
            unwritten(plugin.delete_collection("c").await);
            unwritten(plugin.upsert("c", Vec::new()).await);
            unwritten(plugin.query("c", VectorQuery::new([1.0, 0.0], 1)).await);
            unwritten(plugin.get("c", Vec::new()).await);
            unwritten(plugin.delete("c", Vec::new()).await);
            unwritten(plugin.delete_where("c", VectorFilter::exists("f")).await);
            unwritten(plugin.count("c", None).await);
            plugin.shutdown().await
        })
    }
}
