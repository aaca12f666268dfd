//! `own`: a plugin of type `model_registry`, to be written.
//!
//! It is registered, reads its settings, and starts. What is left to do:
//!
//! 1. Keep what the plugin works with, such as a client, in [`Own`], and make it in `initialize`,
//!    which fails when the plugin could not work.
//! 2. Write the methods of the contract `ModelRegistry`. Each returns an error for now, which names the line to replace.
//! 3. Let `health` ask what the plugin depends on, within a second or two.
//! 4. Replace the tests at the end that say what is not written yet.

use mlx_core::prelude::*;

/// The plugin's name in `platform.yaml`.
const NAME: &str = "own";

/// Settings of [`Own`].
#[derive(PluginConfig)]
pub struct OwnConfig {
    // Settings of the plugin's own go here:
    //
    // /// How long a call may take.
    // #[config(default = "30s")]
    // pub timeout: Duration,
}

/// The plugin `own` of this project.
#[mlx_plugin(type = "model_registry", name = "own")]
pub struct Own {
    /// What it was started with.
    pub config: OwnConfig,
}

#[async_trait]
impl Plugin for Own {
    type Config = OwnConfig;

    async fn initialize(config: Self::Config, _cx: &InitContext) -> Result<Self> {
        Ok(Self { config })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::degraded("not written yet"))
    }
}

#[async_trait]
impl ModelRegistry for Own {
    async fn register(&self, _entry: ModelEntry) -> Result<ModelVersion> {
        Err(Error::not_implemented(NAME, "register"))
    }

    async fn version(&self, _name: &str, _version: VersionRef) -> Result<ModelVersion> {
        Err(Error::not_implemented(NAME, "version"))
    }

    async fn load(&self, _name: &str, _version: VersionRef) -> Result<Model> {
        Err(Error::not_implemented(NAME, "load"))
    }

    async fn models(&self) -> Result<Vec<String>> {
        Err(Error::not_implemented(NAME, "models"))
    }

    async fn versions(&self, _name: &str) -> Result<Vec<ModelVersion>> {
        Err(Error::not_implemented(NAME, "versions"))
    }

    async fn set_alias(&self, _name: &str, _alias: &str, _version: u64) -> Result<()> {
        Err(Error::not_implemented(NAME, "set_alias"))
    }

    async fn delete_version(&self, _name: &str, _version: u64) -> Result<()> {
        Err(Error::not_implemented(NAME, "delete_version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({})
    }

    /// A model of a format that nobody knows.
    fn model() -> Model {
        Model {
            format: "for-tests".to_owned(),
            bytes: Vec::new(),
            signature: ModelSignature::default(),
            metadata: Default::default(),
        }
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
            .get("model_registry", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_starts_and_says_what_is_not_written() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn ModelRegistry>(NAME, settings())
                .await?;
            assert_eq!(
                Handle::health(&plugin).await?.status,
                HealthStatus::Degraded
            );
            unwritten(plugin.register(ModelEntry::new("m", model())).await);
            unwritten(plugin.version("m", VersionRef::Latest).await);
            unwritten(plugin.load("m", VersionRef::Latest).await);
            unwritten(plugin.models().await);
            unwritten(plugin.versions("m").await);
            unwritten(plugin.set_alias("m", "champion", 1).await);
            unwritten(plugin.delete_version("m", 1).await);
            plugin.shutdown().await
        })
    }
}
