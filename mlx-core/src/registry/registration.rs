//! The record that `#[mlx_plugin]` leaves in the binary.

use crate::{
    config::{ConfigValue, PluginConfig, Reader, Resolved},
    diagnostics::{Diagnostic, Location, Result},
    handle::Instance,
    plugin::{Declared, InitContext, Plugin, PluginMetadata, instance_of},
    value::{Node, Reference, Variables},
};
use schemars::{Schema, SchemaGenerator};
use std::{fmt, future::Future, pin::Pin};

/// A plugin that is about to start.
pub type StartFuture = Pin<Box<dyn Future<Output = Result<Instance>> + Send>>;

/// What was found in a configuration while planning.
#[derive(Debug, Default)]
pub struct Checked {
    /// Mistakes and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// References to secrets that other plugins resolve, and where they stand.
    pub references: Vec<(Reference, Option<Location>)>,
    /// The settings as they will be, defaults included and secrets redacted. `None` when they cannot be known
    /// before the start, because a secret is looked up then.
    pub effective: Option<serde_json::Value>,
}

/// A plugin as the registry knows it: what it says about itself, and how it is checked and started, without its
/// type.
pub struct Registration {
    metadata: &'static PluginMetadata,
    check: fn(&Node, Reader<'_>) -> Checked,
    start: fn(&Node, Reader<'_>, InitContext) -> Result<StartFuture, Vec<Diagnostic>>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

inventory::collect!(Registration);

impl Registration {
    /// The record of a plugin. `#[mlx_plugin]` submits it; a [`Registry`](super::Registry) that is made by hand
    /// is given a list of them.
    pub const fn new<P: Plugin + Declared>() -> Self {
        Registration {
            metadata: P::METADATA,
            check: check::<P::Config>,
            start: start::<P>,
            schema: <P::Config as ConfigValue>::schema,
        }
    }

    /// What the plugin says about itself.
    pub const fn metadata(&self) -> &'static PluginMetadata {
        self.metadata
    }

    /// Reads the configuration without starting anything. `path` is what paths in messages begin with.
    pub fn check(&self, config: &Node, variables: &dyn Variables, path: &str) -> Checked {
        (self.check)(config, Reader::plan(variables).within(path))
    }

    /// Reads the configuration, secrets included, and returns the start of the plugin, which has not begun yet.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn start(
        &self,
        config: &Node,
        variables: &dyn Variables,
        resolved: &Resolved,
        path: &str,
        cx: InitContext,
    ) -> Result<StartFuture, Vec<Diagnostic>> {
        (self.start)(config, Reader::start(variables, resolved).within(path), cx)
    }

    /// The JSON Schema of the configuration.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.metadata.kind.name, self.metadata.name, self.metadata.declared)
    }
}

fn check<C: PluginConfig>(config: &Node, mut cx: Reader<'_>) -> Checked {
    let value = C::read(config, &mut cx);
    let (diagnostics, references) = cx.into_parts();
    Checked { diagnostics, references, effective: value.map(|value| value.write()) }
}

fn start<P: Plugin + Declared>(
    config: &Node,
    mut cx: Reader<'_>,
    init: InitContext,
) -> Result<StartFuture, Vec<Diagnostic>> {
    let config = P::Config::read(config, &mut cx);
    let config = cx.finish(config)?;
    Ok(Box::pin(initialize::<P>(config, init)))
}

/// Starts a plugin from its typed configuration.
pub(crate) async fn initialize<P: Plugin + Declared>(config: P::Config, cx: InitContext) -> Result<Instance> {
    P::initialize(config, &cx).await.map(instance_of)
}
