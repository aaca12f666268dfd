//! What a user writes: the whole composition, and one file of it.

use super::{
    CompositionBuilder, PluginEntry,
    entry::{Change, Names},
    include,
    overrides::Override,
    profile::Profile,
    start::Options,
    variables,
};
use crate::{
    config::{ConfigValue, Located, Reader},
    diagnostics::{Code, Diagnostic, Error, Result, Source},
    plugin::PluginKind,
    value::{Map, Node, System, Value, Variables, json, yaml},
};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Which plugins make up a platform, and how they are set up.
///
/// ```
/// # use mlx_core::Composition;
/// let composition = Composition::from_yaml(
///     r#"
/// name: Enterprise ML Stack
/// plugins:
///   - type: data_source
///     name: sqlite
///     config:
///       path: warehouse.db
/// conflicts:
///   - [mlflow, wandb]
/// "#,
/// )?;
/// assert_eq!(composition.plugins()[0].name.as_str(), "sqlite");
/// # Ok::<(), mlx_core::Error>(())
/// ```
///
/// Reading one collects mistakes instead of stopping at the first: they are reported together with those that
/// only resolving can find. [`problems`](Composition::problems) has them earlier.
#[derive(Clone)]
pub struct Composition {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) components: Vec<Located<String>>,
    pub(super) plugins: Vec<PluginEntry>,
    pub(super) conflicts: Vec<Vec<Located<String>>>,
    pub(super) precedence: Vec<Preference>,
    pub(super) profiles: BTreeMap<String, Profile>,
    /// Those that were applied, in order.
    pub(super) applied_profiles: Vec<String>,
    /// What `${name}` stands for.
    pub(super) definitions: Map,
    pub(super) options: Options,
    /// What the program lays over the settings, in order.
    pub(super) overrides: Vec<Override>,
    pub(super) problems: Vec<Diagnostic>,
    pub(super) variables: Arc<dyn Variables>,
}

impl Composition {
    /// Reads a composition from a file, YAML (`.yaml`, `.yml`), TOML (`.toml`) or JSON (`.json`), and from those that it
    /// includes or extends.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a file cannot be read or is malformed, or files include each other in
    /// a circle.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        include::read_file(path.as_ref()).1
    }

    /// As [`from_path`](Composition::from_path), with the files that were read or should have been.
    pub(crate) fn from_path_with_files(path: &Path) -> (Vec<PathBuf>, Result<Self>) {
        include::read_file(path)
    }

    /// Reads a composition from YAML.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the text is malformed.
    pub fn from_yaml(text: &str) -> Result<Self> {
        Composition::from_text(yaml::parse(&Source::new("<yaml>", text)))
    }

    /// Reads a composition from TOML.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the text is malformed.
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Self> {
        Composition::from_text(crate::value::toml::parse(&Source::new("<toml>", text)))
    }

    /// Reads a composition from JSON text.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the text is malformed.
    pub fn from_json(text: &str) -> Result<Self> {
        Composition::from_text(json::parse(&Source::new("<json>", text)))
    }

    fn from_text(read: std::result::Result<Node, Vec<Diagnostic>>) -> Result<Self> {
        include::read_text(&read.map_err(|found| Error::from_diagnostics("the composition", found))?)
    }

    /// A composition made by the program.
    pub fn builder() -> CompositionBuilder {
        CompositionBuilder { composition: Composition::empty() }
    }

    pub(super) fn empty() -> Self {
        Composition {
            name: String::new(),
            description: String::new(),
            components: Vec::new(),
            plugins: Vec::new(),
            conflicts: Vec::new(),
            precedence: Vec::new(),
            profiles: BTreeMap::new(),
            applied_profiles: Vec::new(),
            definitions: Map::default(),
            options: Options::default(),
            overrides: Vec::new(),
            problems: Vec::new(),
            variables: Arc::new(System),
        }
    }

    /// Looks `${env:…}` and `${file:…}` up somewhere else than in the environment of the program.
    #[must_use]
    pub fn with_variables(mut self, variables: impl Variables + 'static) -> Self {
        self.variables = Arc::new(variables);
        self
    }

    /// Looks references up where another composition does.
    pub(crate) fn with_variables_of(mut self, other: &Composition) -> Self {
        self.variables = other.variables.clone();
        if self.overrides.is_empty() {
            self.overrides.clone_from(&other.overrides);
        }
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The description.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The components that the project was made from; they matter at development time only.
    pub fn components(&self) -> &[Located<String>] {
        &self.components
    }

    /// The plugins, in the order of the file.
    pub fn plugins(&self) -> &[PluginEntry] {
        &self.plugins
    }

    /// The plugins, to be changed while the platform runs.
    pub(crate) fn plugins_mut(&mut self) -> &mut Vec<PluginEntry> {
        &mut self.plugins
    }

    /// The names of the profiles, sorted.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// The names of the profiles that were applied, in order.
    pub fn applied_profiles(&self) -> &[String] {
        &self.applied_profiles
    }

    /// The mistakes in the file's structure. Resolving the composition reports them too.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }
}

impl fmt::Debug for Composition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composition").field("name", &self.name).field("plugins", &self.plugins).finish_non_exhaustive()
    }
}

/// Who runs when a type or capability has several plugins that cannot run together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Preference {
    /// The plugin type or capability.
    pub(super) of: Located<String>,
    /// Names or ids, the preferred first.
    pub(super) order: Vec<Located<String>>,
}

/// What one file says, without those that it names.
#[derive(Default)]
pub(super) struct Document {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) extends: Option<Located<String>>,
    pub(super) include: Vec<Located<String>>,
    pub(super) components: Vec<Located<String>>,
    pub(super) variables: Map,
    pub(super) options: Options,
    pub(super) plugins: Vec<Change>,
    pub(super) conflicts: Vec<Vec<Located<String>>>,
    pub(super) precedence: Vec<Preference>,
    pub(super) profiles: BTreeMap<String, Profile>,
    pub(super) problems: Vec<Diagnostic>,
}

const FIELDS: &[&str] = &[
    "name",
    "description",
    "extends",
    "include",
    "components",
    "variables",
    "plugins",
    "conflicts",
    "precedence",
    "profiles",
    Options::FIELDS[0],
    Options::FIELDS[1],
    Options::FIELDS[2],
];

impl Document {
    pub(super) fn read(node: &Node) -> Self {
        let mut cx = Reader::literal();
        let mut document = Document::default();
        if node.as_map().is_none() {
            let message = match node.value {
                Value::Null => "the composition is empty".to_owned(),
                _ => format!("a composition is a mapping, and this is {}", node.value.kind()),
            };
            let diagnostic = Diagnostic::error(Code::WrongType, message).at(node.location.as_ref());
            cx.report(
                diagnostic.help("begin it with `plugins:`, and a `- type: …` with its `name: …` for each plugin"),
            );
        } else if let Some(mut fields) = cx.fields(node) {
            document.name = cx.field(&mut fields, "name", None).flatten();
            document.description = cx.field(&mut fields, "description", None).flatten();
            document.extends = cx.field(&mut fields, "extends", None).flatten();
            document.include = cx.field(&mut fields, "include", Some(Vec::new)).unwrap_or_default();
            document.components = cx.field(&mut fields, "components", Some(Vec::new)).unwrap_or_default();
            document.variables = variables::read(&mut fields, &mut cx);
            document.options = Options::read(&mut fields, &mut cx);
            let flat = node.as_map().and_then(|map| map.get("conflicts")).filter(|node| is_list_of_texts(node));
            document.conflicts = match flat {
                Some(list) => {
                    fields.skip("conflicts");
                    let diagnostic =
                        Diagnostic::error(Code::WrongType, "expected a list of conflicts, found a list of names")
                            .at(list.location.as_ref())
                            .help("each conflict is a list of its own: put a second pair of brackets around it");
                    cx.nested("conflicts", |cx| cx.report(diagnostic));
                    Vec::new()
                }
                None => cx.field(&mut fields, "conflicts", Some(Vec::new)).unwrap_or_default(),
            };
            let precedence = cx.field::<Option<Node>>(&mut fields, "precedence", None).flatten();
            if let Some(node) = precedence {
                document.precedence = cx.nested("precedence", |cx| Preference::read(&node, cx));
            }
            // A list of which every entry is commented out is empty.
            let plugins: Option<Vec<Node>> = cx.field(&mut fields, "plugins", Some(|| None)).flatten();
            let plugins = plugins.unwrap_or_default();
            let names = if document.extends.is_some() { Names::TypeAndId } else { Names::Both };
            cx.nested("plugins", |cx| {
                for (index, node) in plugins.iter().enumerate() {
                    document.plugins.extend(cx.element(index, |cx| Change::read(node, names, cx)));
                }
            });
            let profiles: BTreeMap<String, Node> =
                cx.field(&mut fields, "profiles", Some(BTreeMap::new)).unwrap_or_default();
            cx.nested("profiles", |cx| {
                for (name, node) in profiles {
                    let profile = cx.nested(name.clone(), |cx| Profile::read(&node, &name, cx));
                    document.profiles.insert(name, profile);
                }
            });
            cx.unknown_keys(fields, FIELDS);
        }
        document.problems = cx.into_parts().0;
        document
    }
}

impl Preference {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Vec<Self> {
        let Some(mut fields) = cx.fields(node) else { return Vec::new() };
        let mut preferences = Vec::new();
        for entry in fields.take_rest() {
            let order = cx.nested(entry.key.clone(), |cx| Vec::read(&entry.value, cx));
            let of = Located { value: entry.key.clone(), location: entry.key_location.clone() };
            preferences.extend(order.map(|order| Preference { of, order }));
        }
        preferences
    }
}

/// Whether a plugin type is the one of a contract.
pub(super) fn is_security(kind: &'static crate::plugin::KindInfo) -> bool {
    kind.id == <dyn crate::contracts::Security>::INFO.id
}

/// Whether a value is `[a, b]`.
fn is_list_of_texts(node: &Node) -> bool {
    matches!(&node.value, Value::List(items) if !items.is_empty() && items.iter().all(|item| item.as_str().is_some()))
}
