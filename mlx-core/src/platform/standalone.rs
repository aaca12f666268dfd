//! One plugin without a composition.

use super::{start, step, stop};
use crate::{
    composition::{START_TIMEOUT, STOP_TIMEOUT},
    config::{Awaited, Resolved},
    diagnostics::{Code, Diagnostic, Error, Result, listing},
    handle::{Handle, Instance, Slot},
    plugin::{Declared, InitContext, Plugin, PluginKind, PluginMetadata},
    registry::{Registry, initialize},
    value::{Node, System},
};
use std::{fmt, ops::Deref, sync::Arc};

/// A plugin that runs by itself. It can be used like the [`Handle`] that it dereferences to.
///
/// Call [`shutdown`](Standalone::shutdown) at the end: dropping it cannot wait for the plugin, and says so on
/// standard error.
pub struct Standalone<C: ?Sized> {
    handle: Handle<C>,
    slot: Arc<Slot>,
}

impl Registry {
    /// Starts one plugin with these settings, without a composition: `create::<dyn DataSource>("sqlite", json!({"path":
    /// ":memory:"}))`. `${env:…}` and `${file:…}` are looked up.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for an unknown plugin, wrong settings, a plugin that requires others,
    /// or a registry with problems; else why the plugin did not start.
    pub async fn create<C: ?Sized + PluginKind>(&self, name: &str, config: serde_json::Value) -> Result<Standalone<C>> {
        self.usable()?;
        let kind = C::INFO.name;
        let Some(registration) = self.get(kind, name) else {
            return Err(Error::from_diagnostics("the plugin", vec![self.unknown_plugin(kind, name)]));
        };
        alone(registration.metadata())?;
        let config = Node::from(config);
        let checked = registration.check(&config, &System, "");
        let mut found = checked.diagnostics;
        for Awaited { reference, .. } in checked.references {
            found.push(
                Diagnostic::error(
                    Code::BadReference,
                    format!("`{reference}` needs a security plugin, and this plugin runs alone"),
                )
                .help("use a composition, or `${env:…}` or `${file:…}`"),
            );
        }
        let subject = format!("the configuration of `{name}`");
        if found.iter().any(Diagnostic::is_error) {
            return Err(Error::from_diagnostics(subject, found));
        }
        let cx = InitContext::alone(name);
        let start = registration
            .start(&config, &System, &Resolved::new(), "", cx)
            .map_err(|found| Error::from_diagnostics(subject, found))?;
        Standalone::publish(name, start::start_alone(name, start, START_TIMEOUT).await?)
    }

    /// Starts one plugin from its typed settings. The plugin need not be in the registry.
    ///
    /// # Errors
    /// As [`create`](Registry::create).
    pub async fn create_with<P: Plugin + Declared>(&self, config: P::Config) -> Result<Standalone<P::Contract>> {
        self.usable()?;
        alone(P::METADATA)?;
        let name = P::METADATA.name;
        let start = initialize::<P>(config, InitContext::alone(name));
        Standalone::publish(name, start::start_alone(name, start, START_TIMEOUT).await?)
    }

    fn usable(&self) -> Result<()> {
        step::runtime()?;
        match self.problems() {
            [] => Ok(()),
            problems => Err(Error::from_diagnostics("the registry", problems.to_vec())),
        }
    }
}

/// Refuses a plugin that cannot do without others.
fn alone(metadata: &PluginMetadata) -> Result<()> {
    if metadata.requires.is_empty() {
        return Ok(());
    }
    let needs: Vec<String> = metadata.requires.iter().map(ToString::to_string).collect();
    Err(Error::invalid(format!(
        "the plugin `{}` requires {} and cannot run alone: start it from a composition with `activate`",
        metadata.name,
        listing(needs.iter().map(String::as_str)).replace('`', "")
    )))
}

impl<C: ?Sized + Send + Sync + 'static> Standalone<C> {
    fn publish(name: &str, instance: Instance) -> Result<Self> {
        let slot = Arc::new(Slot::new(name));
        let _ = slot.publish(instance);
        Ok(Standalone { handle: Handle::new(slot.clone())?, slot })
    }

    /// A handle that can be given away. It answers [`Stopped`](crate::ErrorKind::Stopped) after the shutdown.
    pub fn handle(&self) -> Handle<C> {
        self.handle.clone()
    }

    /// Lets the calls in flight finish, and stops the plugin.
    ///
    /// # Errors
    /// What the plugin could not give back.
    pub async fn shutdown(self) -> Result<()> {
        step::runtime()?;
        let name = self.slot.name().to_owned();
        stopped(stop::stop_slot(&name, &self.slot, STOP_TIMEOUT).await.found)
    }
}

/// The result of a stop that reported these failures.
pub(super) fn stopped(found: Vec<Diagnostic>) -> Result<()> {
    match found.first() {
        None => Ok(()),
        Some(first) => Err(Error::failed(first.message.clone()).context("stopping").with_diagnostics(found)),
    }
}

impl<C: ?Sized> Deref for Standalone<C> {
    type Target = Handle<C>;
    fn deref(&self) -> &Handle<C> {
        &self.handle
    }
}

impl<C: ?Sized> Drop for Standalone<C> {
    fn drop(&mut self) {
        if self.slot.is_open() {
            eprintln!(
                "mlx: warning: `{}` was dropped without `shutdown().await`; its own shutdown did not run",
                self.slot.name()
            );
        }
    }
}

impl<C: ?Sized> fmt::Debug for Standalone<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standalone").field("name", &self.slot.name()).finish_non_exhaustive()
    }
}
