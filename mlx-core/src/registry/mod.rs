//! The plugins that are compiled into this program.

mod link;
mod manifest;
mod registration;

#[cfg(feature = "linkme")]
#[doc(hidden)]
pub use link::LINKME;
pub use link::LinkExpectation;
pub use manifest::{ListedPlugin, PluginManifest};
pub(crate) use registration::initialize;
pub use registration::{Checked, Registration, StartFuture};

use crate::{
    diagnostics::{Code, Diagnostic, listing, nearest, quoted},
    plugin::{KindInfo, PLANNED_TYPES},
};
use foldhash::fast::FixedState;
use schemars::{Schema, SchemaGenerator};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, LazyLock, OnceLock},
};

/// The plugins of the crate `mlx-plugins`, each by its feature: type and name, with dashes. A program that lacks one is
/// told where it is.
#[doc(hidden)]
pub const SHIPPED: &[&str] = &[
    "configuration-files",
    "data-processor-sql",
    "data-source-files",
    "data-source-snowflake",
    "data-source-sqlite",
    "experiment-tracker-jsonl",
    "experiment-tracker-local",
    "experiment-tracker-mlflow",
    "feature-store-local",
    "llm-provider-openai",
    "llm-provider-scripted",
    "ml-platform-local",
    "ml-trainer-smartcore",
    "model-registry-local",
    "model-registry-mlflow",
    "model-server-local",
    "monitoring-prometheus",
    "plugin-system-local",
    "security-api-keys",
    "serving-platform-http",
    "vector-database-local",
    "workflow-engine-local",
];

/// The plugins known to a program, sorted by type and name. It never changes once it is built; a clone is the same
/// registry.
#[derive(Clone, Debug)]
pub struct Registry {
    contents: Arc<Contents>,
}

#[derive(Debug)]
struct Contents {
    plugins: Vec<&'static Registration>,
    /// Positions in `plugins` by type and name.
    index: HashMap<(&'static str, &'static str), usize, FixedState>,
    schemas: Vec<OnceLock<Schema>>,
    kinds: BTreeMap<&'static str, &'static KindInfo>,
    problems: Vec<Diagnostic>,
}

/// The registry of this program: every plugin that was linked into it.
///
/// It does not fail. What is wrong with it is in [`problems`](Registry::problems), and is returned as an error by
/// `activate` and `create`.
pub fn registry() -> &'static Registry {
    static GLOBAL: LazyLock<Registry> = LazyLock::new(|| Registry::build(link::registrations(), link::expectations()));
    &GLOBAL
}

impl Registry {
    /// A registry of just these plugins, for tests and for programs that choose them by hand.
    pub fn from_registrations(plugins: impl IntoIterator<Item = &'static Registration>) -> Self {
        Registry::build(plugins.into_iter().collect(), Vec::new())
    }

    fn build(mut plugins: Vec<&'static Registration>, mut expectations: Vec<LinkExpectation>) -> Self {
        let key = |registration: &Registration| (registration.metadata().kind.name, registration.metadata().name);
        plugins.sort_by_key(|registration| {
            let declared = registration.metadata().declared;
            (key(registration), declared.module, declared.file, declared.line)
        });
        // A crate's own tests link it twice: once as it is tested, once as a dependency of something else.
        plugins.dedup_by(|a, b| {
            let (a, b) = (a.metadata(), b.metadata());
            a.kind.name == b.kind.name
                && a.name == b.name
                && (a.declared.module, a.declared.crate_version, a.declared.line)
                    == (b.declared.module, b.declared.crate_version, b.declared.line)
        });
        let mut problems = Vec::new();
        expectations.sort_by_key(|expectation| (expectation.file, expectation.line, expectation.krate));
        expectations.dedup();
        let modules = plugins.iter().map(|r| r.metadata().declared.module);
        // A crate that links others stands for them; whether they register something is their own expectation.
        let modules = modules.chain(expectations.iter().map(|expectation| expectation.module));
        let crates: BTreeSet<&str> = modules.filter_map(|module| module.split("::").next()).collect();
        for LinkExpectation { krate, file, line, .. } in expectations {
            if !crates.contains(krate) {
                problems.push(
                    Diagnostic::error(Code::UnmetLink, format!("`link!({krate})` at {file}:{line} names a crate that registers no plugin"))
                        .help(format!(
                            "enable a feature of `{krate}` that has a plugin, or remove it from `link!`; \
                             if it only re-exports plugin crates, name them in a `link!` of its own; if Cargo.toml renames it, \
                             write `link!({krate} = its_own_name)`"
                        )),
                );
            }
        }
        let mut index = HashMap::with_capacity_and_hasher(plugins.len(), FixedState::default());
        let mut kinds: BTreeMap<&'static str, &'static KindInfo> =
            crate::contracts::KINDS.iter().map(|k| (k.name, *k)).collect();
        for (position, registration) in plugins.iter().enumerate() {
            let metadata = registration.metadata();
            for kind in metadata.kinds() {
                match kinds.get(kind.name) {
                    Some(known) if known.id != kind.id => problems.push(
                        Diagnostic::error(
                            Code::BadRegistration,
                            format!(
                                "the contracts `{}` and `{}` both call their plugin type `{}`",
                                known.contract, kind.contract, kind.name
                            ),
                        )
                        .related(format!("plugin `{}` is declared in {}", metadata.name, metadata.declared), None)
                        .help("rename one of them"),
                    ),
                    _ => {
                        kinds.insert(kind.name, kind);
                    }
                }
            }
            if let Some(first) = index.insert(key(registration), position) {
                let (a, b) = (plugins[first].metadata(), metadata);
                index.insert(key(registration), first);
                problems.push(
                    Diagnostic::error(
                        Code::DuplicatePlugin,
                        format!("two plugins of type `{}` are named `{}`", a.kind.name, a.name),
                    )
                    .related(format!("{} ({})", a.declared.module, a.declared), None)
                    .related(format!("{} ({})", b.declared.module, b.declared), None)
                    .help("rename one with `#[mlx_plugin(name = \"…\")]`, or link only one of the crates"),
                );
            }
        }
        let schemas = plugins.iter().map(|_| OnceLock::new()).collect();
        Registry { contents: Arc::new(Contents { plugins, index, schemas, kinds, problems }) }
    }

    /// What is wrong with the registry itself: duplicate names, `link!`s that brought nothing.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.contents.problems
    }

    /// All plugins, sorted by type and name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'static Registration> + '_ {
        self.contents.plugins.iter().copied()
    }

    /// How many plugins there are.
    pub fn len(&self) -> usize {
        self.contents.plugins.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.contents.plugins.is_empty()
    }

    /// All plugin types that this program knows: the built-in ones and those of its plugins, sorted by name.
    pub fn kinds(&self) -> impl Iterator<Item = &'static KindInfo> + '_ {
        self.contents.kinds.values().copied()
    }

    /// The plugin type of this name.
    pub fn kind(&self, name: &str) -> Option<&'static KindInfo> {
        self.contents.kinds.get(name).copied()
    }

    /// The plugin of this type and name.
    pub fn get(&self, kind: &str, name: &str) -> Option<&'static Registration> {
        self.position(kind, name).map(|position| self.contents.plugins[position])
    }

    fn position(&self, kind: &str, name: &str) -> Option<usize> {
        self.contents.index.get(&(kind, name)).copied()
    }

    /// The plugins of this name, whatever their type.
    pub fn named<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'static Registration> + 'r {
        self.iter().filter(move |registration| registration.metadata().name == name)
    }

    /// The JSON Schema of a plugin's configuration, made when it is first asked for.
    pub fn schema(&self, kind: &str, name: &str) -> Option<&Schema> {
        let position = self.position(kind, name)?;
        Some(self.contents.schemas[position].get_or_init(|| {
            let mut generator = SchemaGenerator::default();
            let mut schema = self.contents.plugins[position].schema(&mut generator);
            let definitions = generator.take_definitions(true);
            schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
            if !definitions.is_empty() {
                schema.insert("$defs".to_owned(), definitions.into());
            }
            schema
        }))
    }

    /// A finding that no plugin type has this name, with what might have been meant.
    pub(crate) fn unknown_kind(&self, name: &str) -> Diagnostic {
        if PLANNED_TYPES.contains(&name) {
            return Diagnostic::error(
                Code::PlannedPluginType,
                format!("the plugin type `{name}` is planned and not in this version"),
            )
            .help(format!("the plugin types are {}", listing(self.contents.kinds.keys().copied())));
        }
        let diagnostic = Diagnostic::error(Code::UnknownPluginType, format!("unknown plugin type {}", quoted(name)));
        let known = self.contents.kinds.keys().copied().chain(PLANNED_TYPES.iter().copied());
        let diagnostic = match (nearest(name, known), self.named(name).next()) {
            (Some(near), _) if PLANNED_TYPES.contains(&near) => {
                diagnostic.help(format!("`{near}` is planned and not in this version"))
            }
            (Some(near), _) => diagnostic.help(format!("did you mean `{near}`?")),
            (None, Some(plugin)) => {
                let kind = plugin.metadata().kind.name;
                diagnostic.help(format!("`{name}` is the name of a plugin: write `type: {kind}` and `name: {name}`"))
            }
            (None, None) => diagnostic,
        };
        diagnostic.help(format!("the plugin types are {}", listing(self.contents.kinds.keys().copied())))
    }

    fn names_of(&self, kind: &str) -> impl Iterator<Item = &'static str> {
        self.iter().map(|r| r.metadata()).filter(move |m| m.kind.name == kind).map(|m| m.name)
    }

    /// The name of a plugin of the type that a misspelt one may stand for.
    pub(crate) fn similar(&self, kind: &str, name: &str) -> Option<&'static str> {
        nearest(name, self.names_of(kind))
    }

    /// A finding that no plugin of the type has this name, with what might have been meant.
    pub(crate) fn unknown_plugin(&self, kind: &str, name: &str) -> Diagnostic {
        let mut diagnostic =
            Diagnostic::error(Code::UnknownPlugin, format!("no plugin of type `{kind}` is named {}", quoted(name)));
        let of_type = || self.names_of(kind);
        if let Some(near) = self.similar(kind, name) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if let Some(other) = self.named(name).next() {
            diagnostic = diagnostic.help(format!("there is a `{name}` of type `{}`", other.metadata().kind.name));
        }
        diagnostic = match of_type().next() {
            Some(_) => {
                diagnostic.help(format!("the plugins of type `{kind}` in this program are {}", listing(of_type())))
            }
            None => diagnostic.help(format!("this program has no plugin of type `{kind}`")),
        };
        let feature = format!("{kind}-{name}").replace('_', "-");
        if SHIPPED.contains(&feature.as_str()) {
            return diagnostic.help(format!(
                "the crate `mlx-plugins` has it: enable its feature `{feature}` in Cargo.toml, and add \
                 `mlx_core::link!(mlx_plugins);` to the program"
            ));
        }
        diagnostic.help(
            "a crate in Cargo.toml is only linked when code names it: if the plugin is in one, \
             add `mlx_core::link!(that_crate);` to the program and enable the crate's feature for the plugin",
        )
    }
}
