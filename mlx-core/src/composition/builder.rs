//! Compositions made in code.

use super::{Composition, PluginEntry, document::Preference};
use crate::{config::Located, plugin::Declared};
use std::{num::NonZeroU32, time::Duration};

/// Makes a [`Composition`] in code.
#[derive(Debug)]
pub struct CompositionBuilder {
    pub(super) composition: Composition,
}

impl CompositionBuilder {
    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.composition.name = name.into();
        self
    }

    /// Adds a plugin by type and name, with its settings as JSON: `json!({"path": ":memory:"})`.
    #[must_use]
    pub fn plugin(self, kind: &str, name: &str, config: serde_json::Value) -> Self {
        self.plugin_with(kind, name, config, |entry| entry)
    }

    /// Adds a plugin, and changes its entry: another id, a deadline.
    #[must_use]
    pub fn plugin_with(
        mut self,
        kind: &str,
        name: &str,
        config: serde_json::Value,
        change: impl FnOnce(PluginEntry) -> PluginEntry,
    ) -> Self {
        let path = format!("plugins[{}]", self.composition.plugins.len());
        let entry = PluginEntry { path, ..PluginEntry::of(kind, name, config) };
        self.composition.plugins.push(change(entry));
        self
    }

    /// Adds a plugin by its Rust type, with its settings as JSON.
    #[must_use]
    pub fn plugin_type<P: Declared>(self, config: serde_json::Value) -> Self {
        self.plugin(P::METADATA.kind.name, P::METADATA.name, config)
    }

    /// Declares that at most one of these plugins or capabilities may be there.
    #[must_use]
    pub fn conflict<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.composition.conflicts.push(names.into_iter().map(|name| Located::from(name.into())).collect());
        self
    }

    /// Says who runs when plugins of a type, or with a capability, cannot run together: names or ids, the preferred
    /// first.
    #[must_use]
    pub fn precedence<N: Into<String>>(mut self, of: &str, order: impl IntoIterator<Item = N>) -> Self {
        let order = order.into_iter().map(|name| Located::from(name.into())).collect();
        self.composition.precedence.push(Preference { of: Located::from(of.to_owned()), order });
        self
    }

    /// Sets how long the start of all plugins together may take.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.composition.options.start_timeout = Some(timeout);
        self
    }

    /// Sets how many plugins start at the same time, at least one.
    #[must_use]
    pub fn max_concurrent_starts(mut self, starts: NonZeroU32) -> Self {
        self.composition.options.max_concurrent_starts = Some(starts);
        self
    }

    /// Sets whether calls to plugins are measured, for those whose entry does not say.
    #[must_use]
    pub fn measure(mut self, measure: bool) -> Self {
        self.composition.options.measure = Some(measure);
        self
    }

    /// The composition.
    pub fn build(self) -> Composition {
        self.composition
    }
}
