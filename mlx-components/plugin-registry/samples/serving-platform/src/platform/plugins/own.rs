//! `own`: a plugin of type `serving_platform`, to be written.
//!
//! It is registered, reads its settings, and starts. What is left to do:
//!
//! 1. Keep what the plugin works with, such as a client, in [`Own`], and make it in `initialize`,
//!    which fails when the plugin could not work.
//! 2. Write the methods of the contract `ServingPlatform`. Each returns an error for now, which names the line to replace.
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
#[mlx_plugin(type = "serving_platform", name = "own")]
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
impl ServingPlatform for Own {
    async fn deploy(&self, _deployment: Deployment) -> Result<Endpoint> {
        Err(Error::not_implemented(NAME, "deploy"))
    }

    async fn undeploy(&self, _name: &str) -> Result<()> {
        Err(Error::not_implemented(NAME, "undeploy"))
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>> {
        Err(Error::not_implemented(NAME, "endpoints"))
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
            .get("serving_platform", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_starts_and_says_what_is_not_written() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn ServingPlatform>(NAME, settings())
                .await?;
            assert_eq!(
                Handle::health(&plugin).await?.status,
                HealthStatus::Degraded
            );
            unwritten(plugin.deploy(Deployment::new("m", "m")).await);
            unwritten(plugin.undeploy("m").await);
            unwritten(plugin.endpoints().await);
            plugin.shutdown().await
        })
    }
}
