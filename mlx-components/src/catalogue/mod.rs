//! The catalogue: what components there are, and rendering them.
//!
//! ```
//! use mlx_components::catalogue::Catalogue;
//! use std::collections::BTreeMap;
//!
//! let catalogue = Catalogue::embedded()?;
//! let snowflake = catalogue.find("data-sources/snowflake")?;
//! let answers = snowflake.answers(&BTreeMap::from([("schema".to_owned(), "RAW".into())]))?;
//! assert_eq!(answers["warehouse"], "COMPUTE_WH");
//! assert!(!answers.contains_key("password"), "a secret is no answer");
//! # Ok::<(), mlx_core::Error>(())
//! ```

pub mod case;
mod check;
mod component;
mod embedded;
mod language;
mod open;
mod ordered;
pub mod path;
pub mod render;
mod sample;
mod text;
mod variable;

pub use component::{
    Cargo, CargoDependency, Component, ComponentKind, Dependency, Edit, PluginTemplates, Shipped, Template,
};
pub use ordered::Ordered;
pub use sample::Sample;
pub use text::{
    CargoName, ComponentName, Expression, Inline, KebabName, Line, RequirementText, RustPath, SnakeName, Target,
    TemplateName,
};
pub use variable::{Format, Items, Variable, VariableKind};

use mlx_core::{
    Diagnostic, Error, ErrorKind, Result,
    diagnostics::{Code, listing, nearest, quoted},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// A component, which is read when it is first asked for.
#[derive(Debug)]
struct Entry {
    read: OnceLock<Result<Component, Vec<Diagnostic>>>,
    embedded: Option<&'static embedded::Embedded>,
}

impl Entry {
    /// The component. Those of this crate are in order, as its tests see to; all others have been read.
    fn component(&self) -> Result<&Component, &[Diagnostic]> {
        let read = self.read.get_or_init(|| match self.embedded {
            Some(embedded) => embedded::read(embedded),
            None => Err(Vec::new()),
        });
        read.as_ref().map_err(Vec::as_slice)
    }
}

/// Components by name.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    components: BTreeMap<String, Arc<Entry>>,
    /// What else a component is found by, and its name.
    aliases: BTreeMap<String, String>,
}

impl Catalogue {
    /// The catalogue that this version of the crate ships.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when its index is malformed, which the tests of this crate rule out.
    pub fn embedded() -> Result<&'static Catalogue> {
        static EMBEDDED: OnceLock<Result<Catalogue, Vec<Diagnostic>>> = OnceLock::new();
        let read = EMBEDDED.get_or_init(embedded::catalogue);
        read.as_ref().map_err(|found| Error::from_diagnostics("the catalogue", found.clone()))
    }

    fn of(components: impl IntoIterator<Item = Component>) -> Self {
        let mut catalogue = Catalogue::default();
        for component in components {
            let name = component.name.clone();
            catalogue.aliases.extend(component.aliases.iter().map(|alias| (alias.to_string(), name.clone())));
            catalogue.components.insert(name, Arc::new(Entry { read: OnceLock::from(Ok(component)), embedded: None }));
        }
        catalogue
    }

    /// This catalogue with the components of another in front: where both have a name, it is the other's.
    #[must_use]
    pub fn overlaid(&self, over: Catalogue) -> Catalogue {
        let mut catalogue = self.clone();
        // What is replaced has the aliases of its successor.
        catalogue.aliases.retain(|_, name| !over.components.contains_key(name));
        catalogue.components.extend(over.components);
        catalogue.aliases.extend(over.aliases);
        catalogue
    }

    /// Leaves the components out whose names are not to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.components.retain(|name, _| keep(name));
        self.aliases.retain(|_, name| self.components.contains_key(name));
    }

    /// The components, in the order of their names.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.components.values().filter_map(|entry| entry.component().ok())
    }

    /// The component of this name or alias. `data-source/snowflake` is found too where `data-source` is an alias.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), with the nearest name.
    pub fn find(&self, name: &str) -> Result<&Component> {
        if let Some(entry) = self.look_up(name) {
            return entry
                .component()
                .map_err(|found| Error::from_diagnostics(format_args!("the component `{name}`"), found.to_vec()));
        }
        let found = Diagnostic::error(
            Code::UnknownComponent,
            format!("there is no component {}", quoted(&name.escape_debug().to_string())),
        );
        let found = match &self.meant(name)[..] {
            [] => {
                let names = self.components.keys().map(String::as_str).filter(|name| !name.contains('/'));
                found.help(format!("the components are {}", listing(names)))
            }
            [near] => found.help(format!("did you mean `{near}`?")),
            several => found.help(format!("did you mean one of {}?", listing(several.iter().copied()))),
        };
        Err(Error::from_diagnostics("the request", vec![found]).with_kind(ErrorKind::NotFound))
    }

    /// Names that may have been meant by one that no component has: `data-sources/snowflake` by `snowflake`.
    fn meant(&self, name: &str) -> Vec<&str> {
        let variants = || self.components.keys().filter_map(|name| Some((name.as_str(), name.rsplit_once('/')?.1)));
        let called = |wanted: &str| -> Vec<&str> {
            variants().filter(|(_, last)| *last == wanted).map(|(name, _)| name).collect()
        };
        let exact = called(name);
        if !exact.is_empty() {
            return exact;
        }
        let known = self.components.keys().chain(self.aliases.keys()).map(String::as_str);
        if let Some(near) = nearest(name, known) {
            return vec![near];
        }
        nearest(name, variants().map(|(_, last)| last)).map(called).unwrap_or_default()
    }

    fn look_up(&self, name: &str) -> Option<&Entry> {
        // A name comes before an alias.
        let full = |name: &str| {
            let exact = self.components.get_key_value(name);
            exact.or_else(|| self.components.get_key_value(self.aliases.get(name)?))
        };
        let entry = full(name).map(|(_, entry)| entry).or_else(|| {
            let (section, variant) = name.split_once('/')?;
            self.components.get(&format!("{}/{variant}", full(section)?.0))
        });
        entry.map(AsRef::as_ref)
    }

    /// The component of exactly this name.
    fn named(&self, name: &str) -> Option<&Component> {
        self.components.get(name)?.component().ok()
    }

    /// The variants of a component, in the order of their names: `data-sources/snowflake` is one of `data-sources`.
    pub fn variants<'c>(&'c self, component: &Component) -> impl Iterator<Item = &'c Component> + use<'c> {
        let prefix = format!("{}/", component.name);
        let within = move |(name, _): &(&String, &Arc<Entry>)| name.starts_with(&prefix);
        self.components.iter().filter(within).filter_map(|(_, entry)| entry.component().ok())
    }

    /// The variant of a component by its last name: `snowflake` of `data-sources`.
    pub fn variant(&self, component: &Component, name: &str) -> Option<&Component> {
        self.named(&format!("{}/{name}", component.name))
    }

    /// The text of `registry.json` for these components.
    pub fn registry(&self) -> String {
        let registry = mlx_core::json!({
            "$schema": "schemas/registry.schema.json",
            "version": 1,
            "components": self.components().map(Component::entry).collect::<Vec<_>>(),
        });
        format!("{registry:#}\n")
    }
}

/// The JSON Schemas (draft 2020-12) of the files of a catalogue, by the names under which they are published: `registry`, `component`,
/// `samples`.
pub fn schemas() -> [(&'static str, mlx_core::JsonValue); 3] {
    fn of<T: mlx_core::PluginConfig>(title: &str) -> mlx_core::JsonValue {
        let mut schema = mlx_core::config::schema_of::<T>();
        schema.insert("title".to_owned(), title.into());
        schema.into()
    }
    [
        ("component", of::<component::ComponentFile>("A component of MLX")),
        ("registry", of::<open::Registry>("The index of a catalogue of MLX")),
        ("samples", of::<Sample>("A sample of a component of MLX")),
    ]
}
