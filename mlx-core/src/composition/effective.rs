//! Every setting of a plan, and where it came from.

use super::{Plan, Step};
use crate::{
    config::{ConfigValue, Outline, REDACTED},
    diagnostics::{Location, SourceKind},
    registry::Registry,
    value::{Map, Node, Template, Value, Variables},
};
use serde_json::{Value as Json, json};
use std::{borrow::Cow, collections::HashMap, fmt};

/// Every setting of every plugin of a [`Plan`], and where it came from. Secrets are redacted.
///
/// It prints as an aligned table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EffectiveConfig {
    /// The composition's name.
    pub name: String,
    /// The plugins, in the order of the plan.
    pub plugins: Vec<EffectivePlugin>,
}

/// The settings of one plugin.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EffectivePlugin {
    /// The id that it runs under.
    pub id: String,
    /// Its type.
    pub kind: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its settings, those of a mapping or list one by one.
    pub settings: Vec<Setting>,
    /// The policies for calls to it, in the same way.
    pub resilience: Vec<Setting>,
}

/// A setting of a plugin.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Setting {
    /// Its path in the settings or policies of the plugin: `limits.runs`, `hosts[0]`.
    pub path: String,
    /// Its value. A secret is `[redacted]`, or the reference that is looked up when the plugin starts.
    pub value: Json,
    /// Where the value came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// The plugin's own default.
    Default,
    /// The default of the component whose settings the plugin inherits; where it is declared.
    Component(String),
    /// A file or text; [`Source::profile`](crate::diagnostics::Source::profile) says whether in a profile.
    Text(Location),
    /// The environment variable of this name.
    Environment(String),
    /// [`with_override`](super::Composition::with_override), with this path.
    Override(String),
    /// A composition that the program made.
    Program,
}

impl Plan {
    /// Every setting of every plugin, and where it came from.
    pub fn effective_config(&self) -> EffectiveConfig {
        let plugins = self.steps().iter().map(|step| plugin(step, &self.registry, self.variables.as_ref())).collect();
        EffectiveConfig { name: self.name().to_owned(), plugins }
    }
}

fn plugin(step: &Step, registry: &Registry, variables: &dyn Variables) -> EffectivePlugin {
    let metadata = step.registration.metadata();
    let outline = registry.schema(metadata.kind.name, metadata.name).map(Outline::of);
    let value = match &step.effective {
        Some(value) => Cow::Borrowed(value),
        None => Cow::Owned(assembled(outline.as_ref(), Some(&step.config), variables)),
    };
    let mut collector = Collector { variables, settings: Vec::new() };
    collector.collect(String::new(), &value, Some(&step.config), outline.as_ref(), Origin::Default);
    let settings = collector.settings;
    EffectivePlugin {
        id: step.id.clone(),
        kind: metadata.kind.name,
        name: metadata.name,
        version: metadata.version,
        settings,
        resilience: policies(step, variables),
    }
}

/// The policies that there are.
fn policies(step: &Step, variables: &dyn Variables) -> Vec<Setting> {
    let Some(resilience) = step.resilience.as_ref().filter(|resilience| !resilience.is_empty()) else {
        return Vec::new();
    };
    let mut collector = Collector { variables, settings: Vec::new() };
    collector.collect(String::new(), &resilience.write(), step.policies.as_ref(), None, Origin::Default);
    collector.settings.retain(|setting| !setting.value.is_null());
    collector.settings
}

/// What settings will be, as far as it is known before their secrets are.
fn assembled(outline: Option<&Outline<'_>>, node: Option<&Node>, variables: &dyn Variables) -> Json {
    let secret = outline.is_some_and(Outline::is_secret);
    let Some(node) = node else {
        let default = outline.and_then(Outline::default).cloned();
        return match (stand_in(outline, variables), default) {
            (Some(name), _) if secret => format!("${{env:{name}}}").into(),
            (Some(name), _) => scalar(&variables.env(name).unwrap_or_default(), outline),
            // What is absent is what `{}` would be.
            (None, Some(Json::Object(_))) => assembled(outline, Some(&Node::empty_map()), variables),
            (None, default) => default.unwrap_or_default(),
        };
    };
    let template = match &node.value {
        Value::String(text) => {
            Template::parse(text).ok().flatten().and_then(|template| template.expand(variables).ok())
        }
        _ => None,
    };
    match (&node.value, template) {
        (Value::Null, _) => Json::Null,
        (_, Some(template)) if secret && template.references().next().is_some() => template.redacted().into(),
        _ if secret => REDACTED.into(),
        (Value::String(text), template) => {
            let rendered = template.and_then(|template| template.render(variables, &HashMap::new()).ok());
            rendered.map_or_else(|| text.as_str().into(), |text| scalar(&text, outline))
        }
        (Value::List(items), _) => {
            let outline = outline.and_then(Outline::items);
            items.iter().map(|item| assembled(outline.as_ref(), Some(item), variables)).collect()
        }
        (Value::Map(map), _) => {
            let mut object = serde_json::Map::new();
            let mut others: Vec<&str> = map.iter().map(|entry| entry.key.as_str()).collect();
            // Of a mapping that may be one of several, the settings that are not given may belong to another one.
            for outline in outline.into_iter().filter(|outline| !outline.has_variants()) {
                for name in outline.properties() {
                    let Some(inner) = outline.property(name) else { continue };
                    if inner.alias_of().is_some() {
                        continue;
                    }
                    let given = given(map, name, Some(outline));
                    others.retain(|key| given.is_none_or(|(given, _)| given != *key));
                    let value = assembled(Some(&inner), given.map(|(_, node)| node), variables);
                    object.insert(name.to_owned(), value);
                }
            }
            for key in others {
                let outline = outline.and_then(|outline| outline.property(key).or_else(|| outline.others()));
                object.insert(key.to_owned(), assembled(outline.as_ref(), map.get(key), variables));
            }
            object.into()
        }
        _ => node.to_json(),
    }
}

/// A text where another scalar may be expected.
fn scalar(text: &str, outline: Option<&Outline<'_>>) -> Json {
    match outline {
        Some(outline) if !outline.is("string") => Node::new(Value::from_scalar(text.trim())).to_json(),
        _ => text.into(),
    }
}

/// The environment variable that stands in for an absent setting.
fn stand_in<'s>(outline: Option<&Outline<'s>>, variables: &dyn Variables) -> Option<&'s str> {
    outline?.env().filter(|name| variables.env(name).is_some_and(|value| !value.is_empty()))
}

/// The setting `name` of a mapping, which may be given under another name.
fn given<'n>(map: &'n Map, name: &str, outline: Option<&Outline<'_>>) -> Option<(&'n str, &'n Node)> {
    let other_name = |key: &str| outline.and_then(|outline| outline.property(key)?.alias_of()) == Some(name);
    let found = map.entry(name).or_else(|| map.iter().find(|entry| other_name(&entry.key)));
    found.map(|entry| (entry.key.as_str(), &entry.value))
}

struct Collector<'p> {
    variables: &'p dyn Variables,
    settings: Vec<Setting>,
}

impl Collector<'_> {
    /// Takes a value apart. What was not written has the origin of what it is in.
    fn collect(
        &mut self,
        path: String,
        value: &Json,
        node: Option<&Node>,
        outline: Option<&Outline<'_>>,
        inherited: Origin,
    ) {
        let own = node.map_or(inherited, Origin::of);
        match value {
            Json::Object(object) if !object.is_empty() => {
                let written = node.and_then(Node::as_map);
                for (key, value) in object {
                    let inner = outline.and_then(|outline| outline.property(key).or_else(|| outline.others()));
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    match written.map(|map| given(map, key, outline)) {
                        Some(Some((_, node))) => self.collect(path, value, Some(node), inner.as_ref(), own.clone()),
                        Some(None) => {
                            let default = self.default_of(inner.as_ref());
                            self.collect(path, value, None, inner.as_ref(), default);
                        }
                        None => self.collect(path, value, None, inner.as_ref(), own.clone()),
                    }
                }
            }
            Json::Array(items) if !items.is_empty() => {
                let written =
                    node.and_then(|node| if let Value::List(nodes) = &node.value { Some(nodes) } else { None });
                // A set may have fewer than were written.
                let written = written.filter(|nodes| nodes.len() == items.len());
                let inner = outline.and_then(Outline::items);
                for (index, item) in items.iter().enumerate() {
                    let node = written.and_then(|nodes| nodes.get(index));
                    self.collect(format!("{path}[{index}]"), item, node, inner.as_ref(), own.clone());
                }
            }
            // A plugin without settings has none to show.
            Json::Object(_) if path.is_empty() => {}
            leaf => self.settings.push(Setting { path, value: leaf.clone(), origin: own }),
        }
    }

    fn default_of(&self, outline: Option<&Outline<'_>>) -> Origin {
        match (stand_in(outline, self.variables), outline.and_then(Outline::component)) {
            (Some(name), _) => Origin::Environment(name.to_owned()),
            (None, Some(place)) => Origin::Component(place.to_owned()),
            (None, None) => Origin::Default,
        }
    }
}

impl Origin {
    fn of(node: &Node) -> Self {
        let Some(location) = &node.location else { return Origin::Program };
        let name = || location.source.name().to_owned();
        match location.source.kind() {
            SourceKind::Environment => Origin::Environment(name()),
            SourceKind::Override => Origin::Override(name()),
            SourceKind::Text => Origin::Text(location.clone()),
        }
    }

    /// The origin as JSON: its `kind`, and what identifies it.
    pub fn to_json(&self) -> Json {
        match self {
            Origin::Default => json!({"kind": "default"}),
            Origin::Component(place) => json!({"kind": "component default", "declared": place}),
            Origin::Text(location) => json!({
                "kind": if location.source.profile().is_some() { "profile" } else { "composition" },
                "profile": location.source.profile(),
                "location": location.to_json(),
            }),
            Origin::Environment(name) => json!({"kind": "environment", "variable": name}),
            Origin::Override(path) => json!({"kind": "override", "path": path}),
            Origin::Program => json!({"kind": "program"}),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Component(place) => write!(f, "component default ({place})"),
            Origin::Text(location) => match location.source.profile() {
                Some(profile) => write!(f, "{location} (profile {profile})"),
                None => write!(f, "{location}"),
            },
            Origin::Environment(name) => write!(f, "environment variable {name}"),
            Origin::Override(path) => write!(f, "override of {path}"),
            Origin::Program => f.write_str("program"),
        }
    }
}

impl EffectiveConfig {
    /// The settings of the plugin that runs under this id, or this `type/id`.
    pub fn plugin(&self, id: &str) -> Option<&EffectivePlugin> {
        let is = |plugin: &&EffectivePlugin| plugin.id == id || format!("{}/{}", plugin.kind, plugin.id) == id;
        self.plugins.iter().find(is)
    }

    /// The settings as JSON.
    pub fn to_json(&self) -> Json {
        let setting = |setting: &Setting| json!({"path": setting.path, "value": setting.value, "origin": setting.origin.to_json()});
        let plugin = |plugin: &EffectivePlugin| {
            json!({
                "type": plugin.kind,
                "id": plugin.id,
                "name": plugin.name,
                "version": plugin.version,
                "settings": plugin.settings.iter().map(setting).collect::<Vec<_>>(),
                "resilience": plugin.resilience.iter().map(setting).collect::<Vec<_>>(),
            })
        };
        json!({"name": self.name, "plugins": self.plugins.iter().map(plugin).collect::<Vec<_>>()})
    }
}

impl EffectivePlugin {
    /// The setting at this path.
    pub fn setting(&self, path: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.path == path)
    }
}

/// A column is no wider for the sake of a few long values.
const MAX_WIDTH: usize = 40;

impl fmt::Display for EffectiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || self.plugins.iter().flat_map(|plugin| plugin.settings.iter().chain(&plugin.resilience));
        let width =
            |texts: &mut dyn Iterator<Item = usize>| texts.filter(|width| *width <= MAX_WIDTH).max().unwrap_or(0);
        let paths = width(&mut all().map(|setting| setting.path.chars().count()));
        let values = width(&mut all().map(|setting| setting.value.to_string().chars().count()));
        for plugin in &self.plugins {
            writeln!(f, "{}/{} ({} {})", plugin.kind, plugin.id, plugin.name, plugin.version)?;
            for Setting { path, value, origin } in &plugin.settings {
                let value = value.to_string();
                writeln!(f, "  {path:<paths$}  {value:<values$}  {origin}")?;
            }
            if !plugin.resilience.is_empty() {
                writeln!(f, "  resilience:")?;
            }
            for Setting { path, value, origin } in &plugin.resilience {
                let (value, paths) = (value.to_string(), paths.saturating_sub(2));
                writeln!(f, "    {path:<paths$}  {value:<values$}  {origin}")?;
            }
        }
        Ok(())
    }
}
