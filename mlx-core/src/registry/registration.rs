//! The record that `#[mlx_plugin]` leaves in the binary.

use crate::{
    config::{Awaited, ConfigValue, PluginConfig, Reader, Resolved},
    diagnostics::{Diagnostic, Result},
    handle::Instance,
    plugin::{Declared, InitContext, Plugin, PluginMetadata, instance_of},
    value::{Node, Variables},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::{fmt, future::Future, pin::Pin};

/// A plugin that is about to start.
pub type StartFuture = Pin<Box<dyn Future<Output = Result<Instance>> + Send>>;

/// What was found in a configuration while planning.
#[derive(Debug, Default)]
pub struct Checked {
    /// Mistakes and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// References to secrets that other plugins resolve, and where they stand.
    pub references: Vec<Awaited>,
    /// The settings as they will be, defaults included and secrets redacted. `None` when they cannot be known
    /// before the start, because a secret is looked up then.
    pub effective: Option<serde_json::Value>,
}

/// A plugin as the registry knows it: what it says about itself, and how it is checked and started, without its
/// type.
pub struct Registration {
    metadata: &'static PluginMetadata,
    // Compiled for every plugin, so they do no more than needs its type.
    check: fn(&Node, &mut Reader<'_>) -> Option<serde_json::Value>,
    start: fn(&Node, &mut Reader<'_>, InitContext) -> Option<StartFuture>,
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
            schema: <P::Config as JsonSchema>::json_schema,
        }
    }

    /// The same plugin under another description: one Rust type can be registered several times, under names of their
    /// own. The type and the further types must be those of the plugin, or nothing can be called through its handles.
    #[must_use]
    pub const fn with_metadata(self, metadata: &'static PluginMetadata) -> Self {
        Registration { metadata, ..self }
    }

    /// What the plugin says about itself.
    pub const fn metadata(&self) -> &'static PluginMetadata {
        self.metadata
    }

    /// Reads the configuration without starting anything. `path` is where the plugin stands in a composition, or empty:
    /// paths in messages begin with it.
    pub fn check(&self, config: &Node, variables: &dyn Variables, path: &str) -> Checked {
        let mut cx = Reader::plan(variables).settings_of(path);
        let effective = (self.check)(config, &mut cx);
        let (diagnostics, references) = cx.into_parts();
        Checked { diagnostics, references, effective }
    }

    /// Reads the configuration, secrets included, and returns the start of the plugin, which has not begun yet. `path` as
    /// for [`check`](Self::check).
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
        let mut reader = Reader::start(variables, resolved).settings_of(path);
        let start = (self.start)(config, &mut reader, cx);
        reader.finish(start)
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

#[expect(clippy::manual_map, reason = "`map` and its closure would be two more functions for every plugin")]
fn check<C: PluginConfig>(config: &Node, cx: &mut Reader<'_>) -> Option<serde_json::Value> {
    match C::read(config, cx) {
        Some(value) => Some(value.write()),
        None => None,
    }
}

fn start<P: Plugin + Declared>(config: &Node, cx: &mut Reader<'_>, init: InitContext) -> Option<StartFuture> {
    match P::Config::read(config, cx) {
        Some(config) => Some(Box::pin(initialize::<P>(config, init))),
        None => None,
    }
}

/// Starts a plugin from its typed configuration.
pub(crate) async fn initialize<P: Plugin + Declared>(config: P::Config, cx: InitContext) -> Result<Instance> {
    // As in `check`.
    match P::initialize(config, &cx).await {
        Ok(plugin) => Ok(instance_of(plugin)),
        Err(error) => Err(error),
    }
}
