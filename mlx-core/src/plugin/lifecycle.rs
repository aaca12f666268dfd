//! The life of a plugin: what its author writes, and how the platform drives it.

use super::{ComponentResult, ExecutionContext, Handover, Health, InitContext, KindInfo, PluginKind, PluginMetadata};
use crate::{
    config::PluginConfig,
    diagnostics::{Error, Result},
    handle::{Handle, Instance, Lease},
};
use async_trait::async_trait;
use std::{
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
};

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

    // `#[async_trait]` would write the bodies of the defaults into every plugin anew. They are spelt out as it spells
    // them, so that a plugin's own `async fn` takes their place.

    /// Does the plugin's own job, if it has one beside its contract.
    ///
    /// # Errors
    /// Why it failed. Without an implementation: [`Unsupported`](crate::ErrorKind::Unsupported).
    fn execute<'life0, 'life1, 'async_trait>(
        &'life0 self,
        _: &'life1 ExecutionContext,
    ) -> LifecycleFuture<'async_trait, ComponentResult>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        no_job()
    }

    /// Says how the plugin is. It should look at what the plugin depends on, and be quick.
    ///
    /// # Errors
    /// An error counts as unhealthy.
    fn health<'life0, 'async_trait>(&'life0 self) -> LifecycleFuture<'async_trait, Health>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        healthy()
    }

    /// Gives back what the plugin holds. No call is in flight any more; none will come.
    ///
    /// # Errors
    /// What could not be given back; it is reported, and the shutdown of the others goes on.
    fn shutdown<'life0, 'async_trait>(&'life0 self) -> LifecycleFuture<'async_trait, ()>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        nothing_held()
    }

    /// Gives what exists once to the plugin that is about to take this one's place: a listening socket, a pool. Asked
    /// of plugins that say `swap = "handover"`, before their successor starts.
    ///
    /// Give clones and shares: this plugin serves on until the successor is ready, and for good if it is not. Then it is
    /// drained and [`shutdown`](Plugin::shutdown) as any other, and must leave alone what its successor has taken.
    ///
    /// # Errors
    /// What could not be shared. The replacement is then given up.
    fn hand_over<'life0, 'async_trait>(&'life0 self) -> LifecycleFuture<'async_trait, Handover>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        nothing_shared()
    }
}

/// What a step of a plugin's life returns: what an `async fn` is under `#[async_trait]`.
pub type LifecycleFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

fn no_job<'a>() -> LifecycleFuture<'a, ComponentResult> {
    let error = Error::unsupported("this plugin has no job of its own to execute; call its contract instead");
    Box::pin(ready(Err(error)))
}

fn healthy<'a>() -> LifecycleFuture<'a, Health> {
    Box::pin(ready(Ok(Health::healthy())))
}

fn nothing_held<'a>() -> LifecycleFuture<'a, ()> {
    Box::pin(ready(Ok(())))
}

fn nothing_shared<'a>() -> LifecycleFuture<'a, Handover> {
    Box::pin(ready(Ok(Handover::new())))
}

/// A running plugin as the platform sees it, whatever its type.
pub trait Lifecycle: Send + Sync + 'static {
    /// See [`Plugin::execute`].
    ///
    /// # Errors
    /// What the plugin reported.
    fn execute<'a>(&'a self, cx: &'a ExecutionContext) -> LifecycleFuture<'a, ComponentResult>;
    /// See [`Plugin::health`].
    ///
    /// # Errors
    /// What the plugin reported.
    fn health(&self) -> LifecycleFuture<'_, Health>;
    /// See [`Plugin::shutdown`].
    ///
    /// # Errors
    /// What the plugin reported.
    fn shutdown(&self) -> LifecycleFuture<'_, ()>;
    /// See [`Plugin::hand_over`].
    ///
    /// # Errors
    /// What the plugin reported.
    fn hand_over(&self) -> LifecycleFuture<'_, Handover>;
}

// No futures of its own around the plugin's: they would be compiled, and allocated, for every plugin.
impl<P: Plugin> Lifecycle for P {
    fn execute<'a>(&'a self, cx: &'a ExecutionContext) -> LifecycleFuture<'a, ComponentResult> {
        Plugin::execute(self, cx)
    }
    fn health(&self) -> LifecycleFuture<'_, Health> {
        Plugin::health(self)
    }
    fn shutdown(&self) -> LifecycleFuture<'_, ()> {
        Plugin::shutdown(self)
    }
    fn hand_over(&self) -> LifecycleFuture<'_, Handover> {
        Plugin::hand_over(self)
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

/// A further type of the plugin `P`. For each in `also`, `#[mlx_plugin]` writes an empty struct that implements it.
pub trait Further<P: Send + Sync + 'static>: 'static {
    /// The contract.
    type Contract: ?Sized + PluginKind;

    /// The type.
    const KIND: &'static KindInfo = <Self::Contract as PluginKind>::INFO;

    /// The plugin as what the type says.
    fn contract(this: Arc<P>) -> Arc<Self::Contract>;

    /// Offers the plugin as this type.
    fn provide(this: &Arc<P>, instance: Instance) -> Instance {
        instance.provide(Self::contract(this.clone()))
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
