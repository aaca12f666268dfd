//! Values that the program lays over the settings of a composition.

use super::{Composition, PluginEntry, environment, variables};
use crate::{
    diagnostics::{Code, Diagnostic, Location, Source, listing, nearest},
    registry::Registry,
    value::{Entry, Map, Node, Value},
};

/// A value, and the setting that it replaces.
#[derive(Clone, Debug)]
pub(super) struct Override {
    path: String,
    value: serde_json::Value,
}

impl Composition {
    /// Lays a value over a setting, as the last of all layers: nothing else changes it. The path is the id of a plugin
    /// and the name of the setting, `tracker.path`, `tracker.limits.runs`, or `type/id.setting` where the id alone is
    /// ambiguous; the id alone stands for all its settings. Mappings are merged key by key. `${…}` in the value is
    /// looked up.
    ///
    /// [`resolve`](crate::Registry::resolve) reports a path that leads nowhere.
    ///
    /// ```
    /// # use mlx_core::Composition;
    /// let composition = Composition::from_yaml("plugins: [{type: data_source, name: sqlite}]")?
    ///     .with_override("sqlite.path", ":memory:");
    /// # Ok::<(), mlx_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_override(mut self, path: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.overrides.push(Override { path: path.into(), value: value.into() });
        self
    }
}

impl Composition {
    /// The composition with the layers over it: the environment, then the overrides. What is wrong with them is among
    /// its problems.
    pub(super) fn layered(&self, registry: &Registry) -> Composition {
        let mut layered = self.clone();
        let mut found = Vec::new();
        environment::apply(&mut layered, registry, &mut found);
        apply(&mut layered, &mut found);
        layered.variables = variables::scope(&layered.definitions, layered.variables, &mut found);
        layered.problems.append(&mut found);
        layered
    }
}

/// Lays the overrides over the settings of the plugins.
fn apply(composition: &mut Composition, found: &mut Vec<Diagnostic>) {
    for Override { path, value } in std::mem::take(&mut composition.overrides) {
        let location = Location::whole(Source::setting(path.clone()));
        let refused = |message: String| Diagnostic::error(Code::UnknownOverride, message).at(&location);
        let full = |entry: &PluginEntry| setting(&path, &format!("{}/{}", *entry.kind, entry.id())).map(str::to_owned);
        let short = |entry: &PluginEntry| setting(&path, entry.id()).map(str::to_owned);
        let targets = targets(&composition.plugins, full);
        let targets = if targets.is_empty() { self::targets(&composition.plugins, short) } else { targets };
        match &targets[..] {
            [(position, rest)] => {
                let mut value = Node::from(value);
                value.relocate(&mut |place| *place = Some(location.clone()));
                let keys: Vec<String> = rest.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect();
                lay_over(&mut composition.plugins[*position], keys, value, &location);
            }
            [] => {
                let id = path.split('.').next().unwrap_or_default();
                let ids = || composition.plugins.iter().map(PluginEntry::id);
                let mut diagnostic = refused(format!("the override of `{path}` names no plugin of the composition"));
                if let Some(near) = nearest(id, ids()) {
                    diagnostic = diagnostic.help(format!("did you mean `{near}{}`?", &path[id.len()..]));
                }
                found.push(diagnostic.help(format!("the plugins are {}", listing(ids()))));
            }
            several => {
                let message =
                    format!("the override of `{path}` is ambiguous: {} plugins run under this id", several.len());
                let choices: Vec<String> = several
                    .iter()
                    .map(|(position, rest)| {
                        let entry = &composition.plugins[*position];
                        let dot = if rest.is_empty() { "" } else { "." };
                        format!("{}/{}{dot}{rest}", *entry.kind, entry.id())
                    })
                    .collect();
                found.push(refused(message).help(format!("write {}", listing(choices.iter().map(String::as_str)))));
            }
        }
    }
}

/// What follows the name of a plugin in a path: the setting, or nothing.
fn setting<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    match path.strip_prefix(name)? {
        "" => Some(""),
        rest => rest.strip_prefix('.').filter(|rest| !rest.is_empty()),
    }
}

/// The entries that are meant: those that are enabled, if there are any among them.
pub(super) fn targets(
    entries: &[PluginEntry],
    matches: impl Fn(&PluginEntry) -> Option<String>,
) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> =
        entries.iter().enumerate().filter_map(|(at, entry)| Some((at, matches(entry)?))).collect();
    if found.iter().any(|(at, _)| entries[*at].enabled) {
        found.retain(|(at, _)| entries[*at].enabled);
    }
    found
}

/// Lays one value over the settings of a plugin.
pub(super) fn lay_over(entry: &mut PluginEntry, keys: Vec<String>, value: Node, location: &Location) {
    // What is no mapping is a mistake, which reading the settings reports.
    if entry.config.as_map().is_none() {
        return;
    }
    let over = keys.into_iter().rev().fold(value, |value, key| {
        let mut map = Map::default();
        map.push(Entry { key, key_location: Some(location.clone()), value });
        Node { value: Value::Map(map), location: Some(location.clone()) }
    });
    entry.config.merge(over);
}
