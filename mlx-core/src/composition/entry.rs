//! One plugin of a composition, and changes to it.

use crate::{
    config::{ConfigValue, Located, Reader},
    diagnostics::{Code, Diagnostic, Location},
    resilience::{Resilience, Retry},
    value::Node,
};
use std::time::Duration;

/// One plugin of a composition.
#[derive(Clone, Debug, PartialEq)]
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
    /// How long its start may take, all attempts and the pauses between them included.
    pub start_timeout: Duration,
    /// How long calls in flight may take to finish, and then its stop.
    pub stop_timeout: Duration,
    /// Whether its start is tried again when the failure may pass.
    pub retry: Option<Retry>,
    /// The [policies](Resilience) for calls to it, not yet read.
    pub resilience: Option<Node>,
    /// Whether calls to it are measured; `None` is what the composition says for all.
    pub measure: Option<bool>,
    /// Where it stands in its file: `plugins[2]`.
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

/// How long a start may take unless the composition says otherwise.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stop may take unless the composition says otherwise.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What a file says of one plugin: a new entry, or what changes in one that another file has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) kind: Option<Located<String>>,
    pub(super) name: Option<Located<String>>,
    pub(super) id: Option<Located<String>>,
    pub(super) config: Option<Node>,
    pub(super) enabled: Option<bool>,
    pub(super) default: Option<bool>,
    pub(super) on_failure: Option<OnFailure>,
    pub(super) start_timeout: Option<Duration>,
    pub(super) stop_timeout: Option<Duration>,
    pub(super) retry: Option<Retry>,
    pub(super) resilience: Option<Node>,
    pub(super) measure: Option<bool>,
    pub(super) path: String,
    pub(super) location: Option<Location>,
}

/// What an entry has to say, depending on where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Type and name: it is a plugin of its own.
    Both,
    /// The type, and a name or an id: there may be a base that has the rest.
    TypeAndId,
    /// A name or an id.
    Id,
}

const FIELDS: &[&str] = &[
    "type",
    "name",
    "id",
    "config",
    "enabled",
    "default",
    "on_failure",
    "start_timeout",
    "stop_timeout",
    "retry",
    "resilience",
    "measure",
];

impl Change {
    /// Reads an entry. It is kept when what names it can be read, whatever else is wrong with it, so that what depends
    /// on it is not reported as well.
    pub(super) fn read(node: &Node, names: Names, cx: &mut Reader<'_>) -> Option<Self> {
        let mut fields = cx.fields(node)?;
        let kind = match names {
            Names::Both | Names::TypeAndId => cx.field::<Located<String>>(&mut fields, "type", None).map(Some),
            Names::Id => cx.field::<Option<Located<String>>>(&mut fields, "type", None),
        };
        let id = cx.field::<Option<Located<String>>>(&mut fields, "id", None).flatten();
        let name = match (names, &id) {
            (Names::TypeAndId | Names::Id, Some(_)) => cx.field::<Option<Located<String>>>(&mut fields, "name", None),
            _ => cx.field::<Located<String>>(&mut fields, "name", None).map(Some),
        };
        let mut config = cx.field::<Option<Node>>(&mut fields, "config", None).flatten();
        // What is missing from settings is missing below their key, not in front of the first of them.
        if let Some(settings) = config.as_mut().filter(|settings| settings.as_map().is_some())
            && let Some(key) = node.as_map().and_then(|map| map.entry("config")?.key_location.as_ref())
        {
            settings.location = Some(key.clone());
        }
        let enabled = cx.field::<Option<bool>>(&mut fields, "enabled", None).flatten();
        let default = cx.field::<Option<bool>>(&mut fields, "default", None).flatten();
        let on_failure = cx.field::<Option<Located<String>>>(&mut fields, "on_failure", None).flatten();
        let on_failure = on_failure.and_then(|text| match text.as_str() {
            "abort" => Some(OnFailure::Abort),
            "continue" => Some(OnFailure::Continue),
            other => {
                cx.nested("on_failure", |cx| cx.unknown_variant(other, &["abort", "continue"], text.location.as_ref()));
                None
            }
        });
        let start_timeout = cx.field::<Option<Duration>>(&mut fields, "start_timeout", None).flatten();
        let stop_timeout = cx.field::<Option<Duration>>(&mut fields, "stop_timeout", None).flatten();
        let retry = cx.field::<Option<Retry>>(&mut fields, "retry", None).flatten();
        let resilience = cx.field::<Option<Node>>(&mut fields, "resilience", None).flatten();
        let measure = cx.field::<Option<bool>>(&mut fields, "measure", None).flatten();
        cx.unknown_keys(fields, FIELDS);
        let (kind, name) = (kind?, name?);
        for (key, text) in [("name", name.as_ref()), ("id", id.as_ref())] {
            if let Some(text) = text.filter(|text| text.trim().is_empty()) {
                let diagnostic = Diagnostic::error(Code::WrongLength, format!("the {key} is empty"))
                    .at(text.location.as_ref())
                    .help(match key {
                        "id" => "give one, or remove the field: then the plugin runs under its name",
                        _ => "give the name of a plugin",
                    });
                cx.nested(key, |cx| cx.report(diagnostic));
            }
        }
        let location = name.as_ref().or(id.as_ref()).and_then(|name| name.location.clone());
        let path = cx.path();
        Some(Change {
            kind,
            name,
            id,
            config,
            enabled,
            default,
            on_failure,
            start_timeout,
            stop_timeout,
            retry,
            resilience,
            measure,
            path,
            location,
        })
    }

    /// The id of the plugin that is meant.
    pub(super) fn id(&self) -> Option<&Located<String>> {
        self.id.as_ref().or(self.name.as_ref())
    }

    /// The plugin that is meant, by its type as well where that is given.
    pub(super) fn label(&self) -> String {
        let id = self.id().map(|id| id.as_str()).unwrap_or_default();
        match &self.kind {
            Some(kind) => format!("{}/{id}", kind.value),
            None => id.to_owned(),
        }
    }

    /// Whether it is about an entry.
    pub(super) fn is_of(&self, entry: &PluginEntry) -> bool {
        self.id().is_some_and(|id| id.as_str() == entry.id())
            && self.kind.as_ref().is_none_or(|kind| kind.value == *entry.kind)
    }

    /// An entry of its own, if it names type and plugin.
    pub(super) fn into_entry(self) -> Result<PluginEntry, Box<Change>> {
        let (Some(kind), Some(name)) = (self.kind.clone(), self.name.clone()) else { return Err(Box::new(self)) };
        let mut entry = PluginEntry::new(kind, name, self.path.clone());
        entry.id.clone_from(&self.id);
        // What is missing from absent settings is missing from the entry.
        entry.config = Node { location: entry.location.clone(), ..Node::empty_map() };
        if let Some(config) = &self.config {
            entry.config = config.clone();
        }
        entry.set(&self);
        Ok(entry)
    }
}

impl PluginEntry {
    /// An entry made by the program: a plugin by type and name, with its settings as JSON.
    pub fn of(kind: impl Into<String>, name: impl Into<String>, config: impl Into<Node>) -> Self {
        let (kind, name): (String, String) = (kind.into(), name.into());
        PluginEntry { config: config.into(), ..PluginEntry::new(kind.into(), name.into(), String::new()) }
    }

    pub(super) fn new(kind: Located<String>, name: Located<String>, path: String) -> Self {
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
            retry: None,
            resilience: None,
            measure: None,
            path,
        }
    }

    /// The id that the plugin runs under.
    pub fn id(&self) -> &str {
        self.id.as_ref().map_or(self.name.as_str(), |id| id.as_str())
    }

    /// Notes in a finding about an id that it is the id of this plugin, and the type another one.
    pub(super) fn of_another_type(&self, finding: Diagnostic) -> Diagnostic {
        finding
            .related(format!("the one with this id is `{}/{}`", *self.kind, self.id()), self.kind.location.as_ref())
            .help("give it the same `type` in both places")
    }

    /// Lays a change over the entry: settings and policies key by key, everything else as a whole.
    pub(super) fn apply(&mut self, change: Change) {
        // Without an id, the name says which entry is meant.
        if let (Some(id), Some(name)) = (&change.id, &change.name)
            && *name.value != *self.name.value
        {
            // Another plugin takes the place: the settings of this one are not its settings.
            self.id = Some(id.clone());
            self.name = name.clone();
            self.config = Node { location: name.location.clone(), ..Node::empty_map() };
            self.location = change.location.clone();
            self.path.clone_from(&change.path);
        }
        self.set(&change);
        if let Some(config) = change.config {
            self.config.merge(config);
        }
    }

    fn set(&mut self, change: &Change) {
        self.enabled = change.enabled.unwrap_or(self.enabled);
        self.default = change.default.unwrap_or(self.default);
        self.on_failure = change.on_failure.unwrap_or(self.on_failure);
        self.start_timeout = change.start_timeout.unwrap_or(self.start_timeout);
        self.stop_timeout = change.stop_timeout.unwrap_or(self.stop_timeout);
        self.retry = change.retry.or(self.retry);
        if let Some(over) = &change.resilience {
            match &mut self.resilience {
                Some(resilience) => resilience.merge(over.clone()),
                none => *none = Some(over.clone()),
            }
        }
        self.measure = change.measure.or(self.measure);
    }

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

    /// Has its start tried again when the failure may pass.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets the policies for calls to it.
    #[must_use]
    pub fn resilience(mut self, resilience: &Resilience) -> Self {
        self.resilience = Some(Node::from(resilience.write()));
        self
    }

    /// Sets whether calls to it are measured.
    #[must_use]
    pub fn measure(mut self, measure: bool) -> Self {
        self.measure = Some(measure);
        self
    }
}
