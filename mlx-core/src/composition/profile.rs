//! Changes to a composition for one environment.

use super::{
    Composition,
    entry::{Change, Names, PluginEntry},
    variables,
};
use crate::{
    config::Reader,
    diagnostics::{Code, Diagnostic, Error, Location, Result, Source, listing, nearest},
    value::{Map, Node},
};
use std::{collections::HashMap, sync::Arc};

/// Changes to a composition for one environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Profile {
    plugins: Vec<Change>,
    variables: Map,
}

impl Profile {
    pub(super) fn read(node: &Node, name: &str, cx: &mut Reader<'_>) -> Self {
        // What comes from it says so.
        let mut node = node.clone();
        let mut sources: HashMap<String, Arc<Source>> = HashMap::new();
        node.relocate(&mut |location: &mut Option<Location>| {
            let Some(location) = location else { return };
            let own = sources.entry(location.source.name().to_owned());
            location.source = own.or_insert_with(|| location.source.within_profile(name)).clone();
        });
        let mut profile = Profile::default();
        let Some(mut fields) = cx.fields(&node) else { return profile };
        let plugins: Option<Vec<Node>> = cx.field(&mut fields, "plugins", Some(|| None)).flatten();
        let plugins = plugins.unwrap_or_default();
        profile.variables = variables::read(&mut fields, cx);
        cx.unknown_keys(fields, &["plugins", "variables"]);
        cx.nested("plugins", |cx| {
            for (index, node) in plugins.iter().enumerate() {
                profile.plugins.extend(cx.element(index, |cx| Change::read(node, Names::Id, cx)));
            }
        });
        profile
    }

    /// Whether it enables a plugin.
    fn enables(&self, entry: &PluginEntry) -> bool {
        self.plugins.iter().any(|change| change.enabled == Some(true) && change.is_of(entry))
    }

    /// Puts the changes of another profile of the same name behind these.
    pub(super) fn append(&mut self, other: Profile) {
        for change in other.plugins {
            // A file that is included twice says the same twice.
            if !self.plugins.contains(&change) {
                self.plugins.push(change);
            }
        }
        self.variables.merge(other.variables);
    }
}

impl Composition {
    /// The profiles that enable a plugin.
    pub(super) fn enabled_by(&self, entry: &PluginEntry) -> impl Iterator<Item = &str> {
        self.profiles.iter().filter(move |(_, profile)| profile.enables(entry)).map(|(name, _)| name.as_str())
    }

    /// Applies a profile: what it says of a plugin is laid over the plugin's entry, settings key by key, and plugins and
    /// variables that the composition does not have are added. Of several profiles, a later one is laid over the
    /// earlier ones.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a profile that does not exist, or that changes a plugin the
    /// composition does not have.
    pub fn with_profile(mut self, name: &str) -> Result<Self> {
        let Some(profile) = self.profiles.get(name).cloned() else {
            let known = || self.profiles.keys().map(String::as_str);
            let mut diagnostic =
                Diagnostic::error(Code::UnknownProfile, format!("the composition has no profile `{name}`"));
            if let Some(near) = nearest(name, known()) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            diagnostic = match self.profiles.is_empty() {
                true => diagnostic.help("it has no profiles"),
                false => diagnostic.help(format!("the profiles are {}", listing(known()))),
            };
            return Err(Error::from_diagnostics("the composition", vec![diagnostic]));
        };
        self.applied_profiles.push(name.to_owned());
        self.definitions.merge(profile.variables);
        let mut found = Vec::new();
        for change in profile.plugins {
            if let Err(diagnostic) = self.change(change, name) {
                found.push(*diagnostic);
            }
        }
        match found.is_empty() {
            true => Ok(self),
            false => Err(Error::from_diagnostics("the composition", found)),
        }
    }

    /// Lays a change of a profile over the entry that it is about, or adds it.
    fn change(&mut self, change: Change, profile: &str) -> std::result::Result<(), Box<Diagnostic>> {
        let count = self.plugins.iter().filter(|entry| change.is_of(entry)).count();
        let refused = |change: &Change, message: String| {
            let place = change.id().and_then(|id| id.location.as_ref());
            Diagnostic::error(Code::UnknownProfile, message).at(place).in_path(&change.path)
        };
        let id = |change: &Change| change.id().map(|id| id.value.clone()).unwrap_or_default();
        match (count, self.plugins.iter_mut().find(|entry| change.is_of(entry))) {
            (1, Some(entry)) => entry.apply(change),
            (0, _) => match change.into_entry() {
                Ok(entry) => self.plugins.push(entry),
                Err(change) => {
                    let id = id(&change);
                    let ids = || self.plugins.iter().map(PluginEntry::id);
                    let what = change.label();
                    let message =
                        format!("the profile `{profile}` changes `{what}`, which the composition does not have");
                    let mut diagnostic = refused(&change, message);
                    if let Some(other) = self.plugins.iter().find(|entry| entry.id() == id) {
                        diagnostic = other.of_another_type(diagnostic);
                    } else if let Some(near) = nearest(&id, ids()) {
                        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                    }
                    let missing = if change.kind.is_none() { "type: …" } else { "name: …" };
                    diagnostic = diagnostic
                        .help(format!("the plugins are {}", listing(ids())))
                        .help(format!("to add a plugin, give `{missing}` as well"));
                    return Err(Box::new(diagnostic));
                }
            },
            _ => {
                let message = format!("`{}` is ambiguous: {count} plugins run under it", id(&change));
                let diagnostic = refused(&change, message);
                return Err(Box::new(match change.kind {
                    None => diagnostic.help("add `type: …`"),
                    Some(_) => diagnostic.help("give each of them an `id` of its own"),
                }));
            }
        }
        Ok(())
    }
}
