//! The file that a user writes.

use crate::{
    config::{ConfigValue, Located, Reader},
    diagnostics::{Code, Diagnostic, Error, Location, Result, Source, listing, nearest},
    plugin::{Declared, PluginKind},
    value::{self, Node, System, Variables, json, yaml},
};
use std::{collections::BTreeMap, fmt, path::Path, sync::Arc, time::Duration};

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
    profiles: BTreeMap<String, Profile>,
    pub(super) problems: Vec<Diagnostic>,
    pub(super) variables: Arc<dyn Variables>,
}

/// One plugin of a composition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginEntry {
    /// The plugin type.
    pub kind: Located<String>,
    /// The plugin's name.
    pub name: Located<String>,
    /// The id it runs under; its name when `None`. Needed when one plugin runs several times.
    pub id: Option<Located<String>>,
    /// Its settings, not yet read.
    pub config: Node,
    /// Whether it is part of the platform.
    pub enabled: bool,
    /// Whether it is the one meant when only its type is asked for.
    pub default: bool,
    /// What happens to the platform when it does not start.
    pub on_failure: OnFailure,
    /// How long its start may take.
    pub start_timeout: Duration,
    /// How long calls in flight may take to finish, and then its stop.
    pub stop_timeout: Duration,
    /// Where it stands in the composition: `plugins[2]`.
    pub path: String,
    /// Where it was written.
    pub location: Option<Location>,
}

/// What happens to a platform when a plugin does not start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Everything that was started is stopped again.
    #[default]
    Abort,
    /// The platform starts without it, and without what requires it.
    Continue,
}

impl OnFailure {
    /// As in a composition: `abort` or `continue`.
    pub const fn as_str(self) -> &'static str {
        match self {
            OnFailure::Abort => "abort",
            OnFailure::Continue => "continue",
        }
    }
}

/// Who runs when a type or capability has several plugins that cannot run together.
#[derive(Clone, Debug)]
pub(super) struct Preference {
    /// The plugin type or capability.
    pub(super) of: Located<String>,
    /// Names or ids, the preferred first.
    pub(super) order: Vec<Located<String>>,
}

/// Changes to a composition for one environment.
#[derive(Clone, Debug, Default)]
struct Profile {
    plugins: Vec<Override>,
}

#[derive(Clone, Debug)]
struct Override {
    kind: Option<Located<String>>,
    name: Located<String>,
    config: Option<Node>,
    enabled: Option<bool>,
    path: String,
}

const FIELDS: &[&str] = &["name", "description", "components", "plugins", "conflicts", "precedence", "profiles"];
const PLUGIN_FIELDS: &[&str] =
    &["type", "name", "id", "config", "enabled", "default", "on_failure", "start_timeout", "stop_timeout"];
const OVERRIDE_FIELDS: &[&str] = &["type", "name", "config", "enabled"];

/// How long a start may take unless the composition says otherwise.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stop may take unless the composition says otherwise.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);

impl Composition {
    /// Reads a composition from a file: YAML (`.yaml`, `.yml`) or JSON (`.json`).
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the file cannot be read or is malformed.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let node = value::read_file(path).map_err(|found| Error::from_diagnostics(path.display(), found))?;
        Ok(Composition::from_node(&node))
    }

    /// Reads a composition from YAML.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the text is malformed.
    pub fn from_yaml(text: &str) -> Result<Self> {
        let node = yaml::parse(&Source::new("<yaml>", text))
            .map_err(|found| Error::from_diagnostics("the composition", found))?;
        Ok(Composition::from_node(&node))
    }

    /// Reads a composition from JSON text.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the text is malformed.
    pub fn from_json(text: &str) -> Result<Self> {
        let node = json::parse(&Source::new("<json>", text))
            .map_err(|found| Error::from_diagnostics("the composition", found))?;
        Ok(Composition::from_node(&node))
    }

    /// A composition made by the program.
    pub fn builder() -> CompositionBuilder {
        CompositionBuilder { composition: Composition::empty() }
    }

    fn empty() -> Self {
        Composition {
            name: String::new(),
            description: String::new(),
            components: Vec::new(),
            plugins: Vec::new(),
            conflicts: Vec::new(),
            precedence: Vec::new(),
            profiles: BTreeMap::new(),
            problems: Vec::new(),
            variables: Arc::new(System),
        }
    }

    fn from_node(node: &Node) -> Self {
        let mut cx = Reader::literal();
        let mut composition = Composition::empty();
        if let Some(mut fields) = cx.fields(node) {
            let text = |value: Option<Option<String>>| value.flatten().unwrap_or_default();
            composition.name = text(cx.field(&mut fields, "name", None));
            composition.description = text(cx.field(&mut fields, "description", None));
            composition.components = cx.field(&mut fields, "components", Some(Vec::new)).unwrap_or_default();
            composition.conflicts = cx.field(&mut fields, "conflicts", Some(Vec::new)).unwrap_or_default();
            let precedence = cx.field::<Option<Node>>(&mut fields, "precedence", None).flatten();
            if let Some(node) = precedence {
                composition.precedence = cx.nested("precedence", |cx| Preference::read(&node, cx));
            }
            let plugins: Vec<Node> = cx.field(&mut fields, "plugins", Some(Vec::new)).unwrap_or_default();
            cx.nested("plugins", |cx| {
                for (index, node) in plugins.iter().enumerate() {
                    composition.plugins.extend(cx.element(index, |cx| PluginEntry::read(node, cx)));
                }
            });
            let profiles: BTreeMap<String, Node> =
                cx.field(&mut fields, "profiles", Some(BTreeMap::new)).unwrap_or_default();
            cx.nested("profiles", |cx| {
                for (name, node) in profiles {
                    let profile = cx.nested(name.clone(), |cx| Profile::read(&node, cx));
                    composition.profiles.insert(name, profile);
                }
            });
            cx.unknown_keys(fields, FIELDS);
        }
        composition.problems = cx.into_parts().0;
        composition
    }

    /// Applies a profile: its settings are laid over those of the plugins it names.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a profile that does not exist, or that names a plugin the
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
        let mut found = Vec::new();
        for change in profile.plugins {
            let matches = |entry: &PluginEntry| {
                entry.id() == change.name.as_str() && change.kind.as_ref().is_none_or(|kind| kind.value == *entry.kind)
            };
            let count = self.plugins.iter().filter(|entry| matches(entry)).count();
            match (count, self.plugins.iter_mut().find(|entry| matches(entry))) {
                (1, Some(entry)) => {
                    entry.enabled = change.enabled.unwrap_or(entry.enabled);
                    if let Some(config) = change.config {
                        entry.config.merge(config);
                    }
                }
                (0, _) => found.push(
                    Diagnostic::error(
                        Code::UnknownProfile,
                        format!("the profile `{name}` changes `{}`, which the composition does not have", *change.name),
                    )
                    .at(change.name.location.as_ref())
                    .in_path(change.path)
                    .help(format!("the plugins are {}", listing(self.plugins.iter().map(PluginEntry::id)))),
                ),
                _ => found.push(
                    Diagnostic::error(
                        Code::UnknownProfile,
                        format!("`{}` is ambiguous: {count} plugins run under it", *change.name),
                    )
                    .at(change.name.location.as_ref())
                    .in_path(change.path)
                    .help("add `type: …`"),
                ),
            }
        }
        match found.is_empty() {
            true => Ok(self),
            false => Err(Error::from_diagnostics("the composition", found)),
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

impl PluginEntry {
    /// An entry made by the program: a plugin by type and name, with its settings as JSON.
    pub fn of(kind: impl Into<String>, name: impl Into<String>, config: impl Into<Node>) -> Self {
        let (kind, name): (String, String) = (kind.into(), name.into());
        PluginEntry { config: config.into(), ..PluginEntry::new(kind.into(), name.into(), String::new()) }
    }

    fn new(kind: Located<String>, name: Located<String>, path: String) -> Self {
        PluginEntry {
            location: name.location.clone(),
            kind,
            name,
            id: None,
            config: Node::empty_map(),
            enabled: true,
            default: false,
            on_failure: OnFailure::Abort,
            start_timeout: START_TIMEOUT,
            stop_timeout: STOP_TIMEOUT,
            path,
        }
    }

    /// Reads an entry. It is kept when its type and name can be read, whatever else is wrong with it, so that
    /// what depends on it is not reported as well.
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let mut fields = cx.fields(node)?;
        let kind = cx.field::<Located<String>>(&mut fields, "type", None);
        let name = cx.field::<Located<String>>(&mut fields, "name", None);
        let id = cx.field::<Option<Located<String>>>(&mut fields, "id", None).flatten();
        let config = cx.field::<Option<Node>>(&mut fields, "config", None).flatten();
        let enabled = cx.field(&mut fields, "enabled", Some(|| true)).unwrap_or(true);
        let default = cx.field(&mut fields, "default", Some(|| false)).unwrap_or(false);
        let on_failure = cx.field::<Option<Located<String>>>(&mut fields, "on_failure", None).flatten();
        let on_failure = on_failure.map_or(OnFailure::Abort, |text| match text.as_str() {
            "abort" => OnFailure::Abort,
            "continue" => OnFailure::Continue,
            other => {
                cx.nested("on_failure", |cx| cx.unknown_variant(other, &["abort", "continue"], text.location.as_ref()));
                OnFailure::Abort
            }
        });
        let start_timeout = cx.field(&mut fields, "start_timeout", Some(|| START_TIMEOUT)).unwrap_or(START_TIMEOUT);
        let stop_timeout = cx.field(&mut fields, "stop_timeout", Some(|| STOP_TIMEOUT)).unwrap_or(STOP_TIMEOUT);
        cx.unknown_keys(fields, PLUGIN_FIELDS);
        for (key, text) in [("name", name.as_ref()), ("id", id.as_ref())] {
            if let Some(text) = text.filter(|text| text.trim().is_empty()) {
                cx.nested(key, |cx| cx.error(Code::WrongLength, "it must not be empty", text.location.as_ref()));
            }
        }
        let mut entry = PluginEntry::new(kind?, name?, cx.path());
        // What is missing from absent settings is missing from the entry.
        entry.config = config.unwrap_or_else(|| Node { location: entry.location.clone(), ..Node::empty_map() });
        Some(PluginEntry { id, enabled, default, on_failure, start_timeout, stop_timeout, ..entry })
    }

    /// The id that the plugin runs under.
    pub fn id(&self) -> &str {
        self.id.as_ref().map_or(self.name.as_str(), |id| id.as_str())
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

impl Profile {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Self {
        let mut profile = Profile::default();
        let Some(mut fields) = cx.fields(node) else { return profile };
        let plugins: Vec<Node> = cx.field(&mut fields, "plugins", Some(Vec::new)).unwrap_or_default();
        cx.unknown_keys(fields, &["plugins"]);
        cx.nested("plugins", |cx| {
            for (index, node) in plugins.iter().enumerate() {
                profile.plugins.extend(cx.element(index, |cx| Override::read(node, cx)));
            }
        });
        profile
    }
}

impl Override {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let mut fields = cx.fields(node)?;
        let kind = cx.field::<Option<Located<String>>>(&mut fields, "type", None).flatten();
        let name = cx.field::<Located<String>>(&mut fields, "name", None);
        let config = cx.field::<Option<Node>>(&mut fields, "config", None).flatten();
        let enabled = cx.field::<Option<bool>>(&mut fields, "enabled", None).flatten();
        cx.unknown_keys(fields, OVERRIDE_FIELDS);
        Some(Override { kind, name: name?, config, enabled, path: cx.path() })
    }
}

/// Makes a [`Composition`] in code.
#[derive(Debug)]
pub struct CompositionBuilder {
    composition: Composition,
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

    /// The composition.
    pub fn build(self) -> Composition {
        self.composition
    }
}

impl PluginEntry {
    /// Sets the id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(Located::from(id.into()));
        self
    }

    /// Makes it the one meant when only its type is asked for.
    #[must_use]
    pub fn as_default(mut self) -> Self {
        self.default = true;
        self
    }

    /// Sets what happens when it does not start.
    #[must_use]
    pub fn on_failure(mut self, policy: OnFailure) -> Self {
        self.on_failure = policy;
        self
    }

    /// Sets how long its start and its stop may take.
    #[must_use]
    pub fn timeouts(mut self, start: Duration, stop: Duration) -> Self {
        self.start_timeout = start;
        self.stop_timeout = stop;
        self
    }
}

/// Whether a plugin type is the one of a contract.
pub(super) fn is_security(kind: &'static crate::plugin::KindInfo) -> bool {
    kind.id == <dyn crate::contracts::Security>::INFO.id
}
