//! The life of a plugin: what its author writes, and how the platform drives it.

use super::{ComponentResult, ExecutionContext, Health, InitContext, KindInfo, PluginKind, PluginMetadata};
use crate::{
    config::PluginConfig,
    diagnostics::{Error, Result},
    handle::{Handle, Instance, Lease},
};
use async_trait::async_trait;
use std::sync::Arc;

/// What the author of a plugin writes beside the contract. Only [`initialize`](Plugin::initialize) has no default.
///
/// ```
/// use mlx_core::prelude::*;
///
/// /// How loud to be.
/// #[derive(PluginConfig)]
/// struct Settings {
///     /// Decibels.
///     #[config(default = 60, range(0..=120))]
///     volume: u8,
/// }
///
/// /// Keeps metrics to itself.
/// #[mlx_plugin(type = "monitoring")]
/// struct Silent {
///     volume: u8,
/// }
///
/// #[async_trait]
/// impl Plugin for Silent {
///     type Config = Settings;
///     async fn initialize(config: Settings, _: &InitContext) -> Result<Self> {
///         Ok(Silent { volume: config.volume })
///     }
/// }
///
/// #[async_trait]
/// impl Monitoring for Silent {
///     async fn record(&self, _: Vec<Measurement>) -> Result<()> {
///         Ok(())
///     }
///     async fn export(&self) -> Result<String> {
///         Ok(format!("# at {} dB\n", self.volume))
///     }
/// }
/// ```
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "the plugin `{Self}` cannot be started",
    label = "`impl Plugin for {Self}` is missing",
    note = "write `#[async_trait] impl Plugin for {Self} {{ type Config = …; async fn initialize(config: …, cx: &InitContext) -> Result<Self> {{ … }} }}`"
)]
pub trait Plugin: Sized + Send + Sync + 'static {
    /// The settings. A plugin without any says `NoConfig`.
    type Config: PluginConfig;

    /// Builds a working plugin, or fails: there is no half-initialised state. Dropping the future must leave
    /// nothing behind, because a start can be given up.
    ///
    /// # Errors
    /// Why the plugin cannot work.
    async fn initialize(config: Self::Config, cx: &InitContext) -> Result<Self>;

    /// Does the plugin's own job, if it has one beside its contract.
    ///
    /// # Errors
    /// Why it failed. Without an implementation: [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn execute(&self, _: &ExecutionContext) -> Result<ComponentResult> {
        Err(Error::unsupported("this plugin has no job of its own to execute; call its contract instead"))
    }

    /// Says how the plugin is. It should look at what the plugin depends on, and be quick.
    ///
    /// # Errors
    /// An error counts as unhealthy.
    async fn health(&self) -> Result<Health> {
        Ok(Health::healthy())
    }

    /// Gives back what the plugin holds. No call is in flight any more; none will come.
    ///
    /// # Errors
    /// What could not be given back; it is reported, and the shutdown of the others goes on.
    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}

/// A running plugin as the platform sees it, whatever its type.
#[async_trait]
pub trait Lifecycle: Send + Sync + 'static {
    /// See [`Plugin::execute`].
    ///
    /// # Errors
    /// What the plugin reported.
    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult>;
    /// See [`Plugin::health`].
    ///
    /// # Errors
    /// What the plugin reported.
    async fn health(&self) -> Result<Health>;
    /// See [`Plugin::shutdown`].
    ///
    /// # Errors
    /// What the plugin reported.
    async fn shutdown(&self) -> Result<()>;
}

#[async_trait]
impl<P: Plugin> Lifecycle for P {
    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        Plugin::execute(self, cx).await
    }
    async fn health(&self) -> Result<Health> {
        Plugin::health(self).await
    }
    async fn shutdown(&self) -> Result<()> {
        Plugin::shutdown(self).await
    }
}

/// What `#[mlx_plugin]` writes for a struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not declared as a plugin",
    label = "not declared",
    note = "add `#[mlx_plugin(type = \"…\")]` to the struct"
)]
pub trait Declared: Sized + 'static {
    /// The contract of its type.
    type Contract: ?Sized + PluginKind;

    /// What the plugin says about itself.
    const METADATA: &'static PluginMetadata;

    /// Its type.
    const KIND: &'static KindInfo = <Self::Contract as PluginKind>::INFO;

    /// The plugin as what its type says.
    fn contract(this: Arc<Self>) -> Arc<Self::Contract>;

    /// Offers the plugin as each of its further types.
    fn provide(_this: &Arc<Self>, instance: Instance) -> Instance {
        instance
    }
}

/// Makes what a slot publishes from a plugin.
pub(crate) fn instance_of<P: Plugin + Declared>(plugin: P) -> Instance {
    let plugin = Arc::new(plugin);
    let instance = Instance::new().provide(P::contract(plugin.clone()));
    P::provide(&plugin, instance).provide::<dyn Lifecycle>(plugin)
}

impl<C: ?Sized + Send + Sync + 'static> Handle<C> {
    /// Asks the plugin behind the handle how it is.
    ///
    /// # Errors
    /// [`Stopped`](crate::ErrorKind::Stopped) when it does not run; else what the plugin reported.
    pub async fn health(this: &Self) -> Result<Health> {
        let lease = Handle::pin(&Handle::<dyn Lifecycle>::new(Handle::slot(this).clone())?)?;
        Lease::run(&lease, lease.health()).await
    }
}
