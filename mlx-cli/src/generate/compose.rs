//! The components and plugins that a composition file names.

use super::{
    CompositionSource, Extra, Request,
    resolve::{MLX_PLUGINS, Resolver, default_of_secret, is_reference, is_shipped},
};
use crate::project::Lock;
use mlx_components::catalogue::{Catalogue, Component, ComponentKind, case};
use mlx_core::{
    Composition, Diagnostic, Error, JsonValue, Result,
    diagnostics::{Code, Location, Severity, Source, listing, nearest, quoted},
    value::{self, Node, Template},
};
use std::collections::BTreeMap;

/// The keys of an entry that say which plugin it is, and its settings.
const KNOWN: [&str; 4] = ["type", "name", "id", "config"];

/// The parts of a composition that come to something in the project.
const TAKEN: [&str; 5] = ["components", "plugins", "variables", "extends", "include"];

/// What a text of the composition may come to once variables are put in, in bytes.
const LARGEST: usize = 1 << 16;

/// How many variables a text may refer to, and those again: each may name another twice.
const MOST: usize = 1024;

/// How deep variables may refer to each other.
const DEEPEST: usize = 32;

/// What a composition asks for.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) requests: Vec<Request>,
    /// What of the composition does not come into the project as it is.
    pub(super) notes: Vec<String>,
}

/// A request for each component and each plugin of the composition. What excludes each other is refused.
pub(super) fn requests(catalogue: &Catalogue, source: CompositionSource<'_>, lock: &Lock) -> Result<Asked> {
    match source {
        CompositionSource::File(path) => {
            let composition = Composition::from_path(path)?;
            let refused = |found| Error::from_diagnostics(path.display(), found);
            let document = value::read_file(path).map_err(refused)?;
            read(catalogue, &composition, &document, lock).map_err(refused)
        }
        CompositionSource::Text { name, yaml } => {
            let composition = Composition::from_yaml(yaml)?;
            let source = Source::new(name, yaml);
            // What a text is called is not known to the composition; the positions are the same.
            let named = |location: &mut Option<Location>| {
                location.iter_mut().for_each(|location| location.source = source.clone());
            };
            let refused = |mut found: Vec<Diagnostic>| {
                found.iter_mut().for_each(|found| {
                    named(&mut found.location);
                    found.related.iter_mut().for_each(|related| named(&mut related.location));
                });
                Error::from_diagnostics(name, found)
            };
            let document = value::yaml::parse(&source).map_err(refused)?;
            let mut asked = read(catalogue, &composition, &document, lock).map_err(refused)?;
            asked.requests.iter_mut().for_each(|request| named(&mut request.location));
            Ok(asked)
        }
    }
}

fn read(
    catalogue: &Catalogue,
    composition: &Composition,
    document: &Node,
    lock: &Lock,
) -> Result<Asked, Vec<Diagnostic>> {
    let mut found: Vec<Diagnostic> =
        composition.problems().iter().filter(|problem| problem.severity == Severity::Error).cloned().collect();
    let variables = variables(document);
    let mut notes = Vec::new();
    let mut requests = Vec::new();
    for name in composition.components() {
        requests.push(Request { location: name.location.clone(), ..Request::of(name.value.clone()) });
    }
    // Which other keys an entry has is for the program that runs it; they are carried over as they are.
    let entries: Vec<&Node> = document.as_map().and_then(|map| map.get("plugins")).map_or_else(Vec::new, items);
    let resolver = Resolver::new(catalogue, lock);
    for (index, entry) in composition.plugins().iter().enumerate() {
        let (kind, name) = (entry.kind.as_str(), entry.name.as_str());
        let id = entry.id();
        let of_kind = |wanted: &dyn Fn(&Component) -> bool| {
            catalogue.components().find(|component| {
                component.kind != ComponentKind::Vendor
                    && component.plugin.as_ref().is_some_and(|plugin| plugin.kind.is_none())
                    && component.generates_plugin_types.iter().any(|known| known.as_str() == kind)
                    && wanted(component)
            })
        };
        let own = || {
            catalogue.components().find(|component| {
                let plugin = component.plugin.as_ref();
                let named = plugin.and_then(|plugin| plugin.kind.as_deref().zip(plugin.name.as_deref()));
                component.kind != ComponentKind::Vendor && named == Some((kind, name))
            })
        };
        let shipped = || of_kind(&|component| component.links() == Some(MLX_PLUGINS) && is_shipped(kind, name));
        let scaffold = || of_kind(&|component| component.links().is_none());
        let Some(component) = resolver.variant_of(kind, name).or_else(own).or_else(shipped).or_else(scaffold) else {
            let known: Vec<&str> = types(catalogue);
            let message = format!("no component makes plugins of type `{kind}`");
            let unknown = Diagnostic::error(Code::BadAnswer, message).at(entry.kind.location.as_ref());
            found.push(match nearest(kind, known.iter().copied()) {
                Some(near) => unknown.help(format!("did you mean `{near}`?")),
                None => unknown.help(format!("the plugin types are {}", listing(known))),
            });
            continue;
        };
        let there = lock.instance(&format!("{kind}/{id}")).is_some();
        let linked = component.links().is_some();
        let mut answers = BTreeMap::new();
        let mut extra = Extra::default();
        for setting in entry.config.as_map().into_iter().flat_map(|map| map.iter()) {
            let at = setting.value.location.as_ref();
            let value = substituted(&variables, setting.value.to_json(), at, &mut found);
            let variable = component.variable(&setting.key);
            // The settings of a plugin that is linked as it is are its own.
            if variable.is_none() && !there && !linked {
                undeclared(component, kind, id, &setting.key, at, &mut found, &mut notes);
            }
            if variable.is_some_and(|variable| variable.secret) && is_reference(&value) {
                found
                    .extend(default_of_secret(&setting.key, id, &value).map(|refused| refused.at(unseen(at).as_ref())));
            }
            if variable.is_none() {
                secrets(&setting.key, &setting.key, &value, id, at, &mut found);
            }
            match variable {
                _ if value.is_null() => {}
                Some(_) if !is_reference(&value) => drop(answers.insert(setting.key.clone(), value)),
                _ => drop(extra.settings.insert(setting.key.clone(), value)),
            }
        }
        // A composition that was put together from several files has no such node for each.
        let node = entries.get(index).filter(|_| entries.len() == composition.plugins().len());
        for other in node.and_then(|node| node.as_map()).into_iter().flat_map(|map| map.iter()) {
            let value = other.value.to_json();
            if !KNOWN.contains(&other.key.as_str()) && !value.is_null() {
                let at = other.value.location.as_ref();
                let value = substituted(&variables, value, at, &mut found);
                secrets(&other.key, &other.key, &value, id, at, &mut found);
                extra.keys.insert(other.key.clone(), value);
            }
        }
        requests.push(Request {
            component: component.name.clone(),
            plugin_type: component.plugin.as_ref().is_some_and(|plugin| plugin.kind.is_none()).then(|| kind.to_owned()),
            name: Some(if linked { name } else { id }.to_owned()),
            id: linked.then(|| id.to_owned()),
            answers,
            extra,
            location: entry.location.clone(),
            ..Request::default()
        });
    }
    let plugins: BTreeMap<&str, Option<&Location>> = composition
        .plugins()
        .iter()
        .filter(|entry| entry.enabled)
        .map(|e| (e.name.as_str(), e.location.as_ref()))
        .collect();
    let groups = document.as_map().and_then(|map| map.get("conflicts")).map_or_else(Vec::new, items);
    for group in groups {
        let excluded: Vec<&str> =
            items(group).into_iter().filter_map(Node::as_str).filter(|name| plugins.contains_key(name)).collect();
        if let [first, second, ..] = excluded[..] {
            let message = format!("`{first}` and `{second}` exclude each other, as the composition says");
            let conflict = Diagnostic::error(Code::ComponentConflict, message)
                .at(group.location.as_ref())
                .related("the first", plugins.get(first).copied().flatten())
                .related("the second", plugins.get(second).copied().flatten())
                .help("leave one of the two out");
            found.push(conflict);
        }
    }
    let parts = document.as_map().into_iter().flat_map(|map| map.iter()).map(|part| part.key.as_str());
    let left: Vec<&str> = parts.filter(|part| !TAKEN.contains(part)).collect();
    if !left.is_empty() {
        let what = listing(left.iter().copied());
        notes.push(format!(
            "not taken over from the composition: {what}; put into `platform.yaml` what the project needs"
        ));
    }
    match found.is_empty() {
        true => Ok(Asked { requests, notes }),
        false => Err(found),
    }
}

/// A setting that the component does not declare. A plugin that mlx-plugins has may know more settings than its component, as may
/// the code of a component, and one that is to be written is given them then.
fn undeclared(
    component: &Component,
    kind: &str,
    id: &str,
    key: &str,
    at: Option<&Location>,
    found: &mut Vec<Diagnostic>,
    notes: &mut Vec<String>,
) {
    let known = || component.config_schema.iter().map(|(name, _)| name);
    let plugin = component.plugin.as_ref();
    if component.kind == ComponentKind::Vendor && plugin.is_some_and(|plugin| plugin.shipped.is_none()) {
        let message = format!("`{}` has no setting {}", component.name, quoted(&key.escape_debug().to_string()));
        let unknown = Diagnostic::error(Code::BadAnswer, message).at(unseen(at).as_ref());
        found.push(match nearest(key, known()) {
            Some(near) => unknown.help(format!("did you mean `{near}`?")),
            None => unknown.help(format!("its settings are {}", listing(known()))),
        });
    } else if plugin.is_some_and(|plugin| plugin.kind.is_none()) {
        notes.push(format!(
            "`{}` is no setting of `{kind}/{id}` yet: add it to the settings of the plugin, or the project does not start",
            key.escape_debug()
        ));
    }
}

/// The file's own variables, without their types.
fn variables(document: &Node) -> BTreeMap<String, JsonValue> {
    let map = document.as_map().and_then(|map| map.get("variables")).and_then(|node| node.as_map());
    map.into_iter().flat_map(|map| map.iter()).map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
}

/// The value with the variables of the composition in their places: the project's composition does not have them.
fn substituted(
    variables: &BTreeMap<String, JsonValue>,
    value: JsonValue,
    at: Option<&Location>,
    found: &mut Vec<Diagnostic>,
) -> JsonValue {
    match value {
        JsonValue::String(text) => match expanded(variables, &text, 0, &mut { MOST }) {
            Ok(value) => value,
            Err(why) => {
                let help = "write the value in its place";
                found.push(Diagnostic::error(Code::BadReference, why).at(unseen(at).as_ref()).help(help));
                JsonValue::Null
            }
        },
        JsonValue::Array(items) => {
            items.into_iter().map(|item| substituted(variables, item, at, found)).collect::<Vec<_>>().into()
        }
        JsonValue::Object(map) => JsonValue::Object(
            map.into_iter().map(|(key, value)| (key, substituted(variables, value, at, found))).collect(),
        ),
        other => other,
    }
}

fn expanded(
    variables: &BTreeMap<String, JsonValue>,
    text: &str,
    depth: usize,
    left: &mut usize,
) -> Result<JsonValue, String> {
    let mut made = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let (before, reference) = (&rest[..start], &rest[start..=start + length]);
        let name = reference[2..reference.len() - 1].trim();
        if before.ends_with('$') || !Template::is_variable_name(name) {
            made.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
            continue;
        }
        let value = match variables.get(name) {
            Some(_) if depth == DEEPEST => return Err(format!("variables refer to each other in a circle: `{name}`")),
            Some(_) if *left == 0 => return Err(format!("a text refers to more than {MOST} variables")),
            Some(JsonValue::String(value)) => {
                *left -= 1;
                expanded(variables, value, depth + 1, left)?
            }
            Some(value) => value.clone(),
            None => {
                return Err(format!("`${{{name}}}` is no variable of this file, and does not come into the project"));
            }
        };
        if reference.len() == text.len() {
            return Ok(value);
        }
        made.push_str(before);
        match value {
            JsonValue::String(value) => made.push_str(&value),
            value => made.push_str(&value.to_string()),
        }
        rest = &rest[start + length + 1..];
        if made.len() > LARGEST {
            return Err(format!("with its variables a text has more than {LARGEST} bytes"));
        }
    }
    made.push_str(rest);
    Ok(JsonValue::String(made))
}

/// Refuses texts that are secrets going by the name of their setting. No component says so of settings that it does not
/// declare, so that this is a guess: one that is wrong costs a variable, one that is missing a secret in three files.
fn secrets(path: &str, name: &str, value: &JsonValue, id: &str, at: Option<&Location>, found: &mut Vec<Diagnostic>) {
    match value {
        JsonValue::String(text) if !text.is_empty() && is_secret(name) => {
            let refers = Template::parse(text).is_ok_and(|read| read.is_some_and(|t| t.references().next().is_some()));
            let path = path.escape_debug();
            if refers {
                found.extend(
                    default_of_secret(&path.to_string(), id, value).map(|refused| refused.at(unseen(at).as_ref())),
                );
                return;
            }
            let variable = format!("{}_{}", case::snake(id), case::snake(name)).to_uppercase();
            let message = format!("`{path}` of `{id}` is a secret by its name, which is not given here");
            let help = format!("write `${{env:{variable}}}` in its place, and set `{variable}` where the program runs");
            found.push(Diagnostic::error(Code::SecretAnswer, message).at(unseen(at).as_ref()).help(help));
        }
        JsonValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                secrets(&format!("{path}[{index}]"), name, item, id, at, found);
            }
        }
        JsonValue::Object(map) => {
            let secret = matches!(case::snake(name).as_str(), "secrets" | "passwords" | "tokens");
            for (key, item) in map {
                secrets(&format!("{path}.{key}"), if secret { name } else { key }, item, id, at, found);
            }
        }
        _ => {}
    }
}

/// A place without what stands there, which may be a secret.
fn unseen(at: Option<&Location>) -> Option<Location> {
    at.cloned().map(Location::without_text)
}

/// Whether settings of this name are mostly secret: what ends in `key`, `token`, `password` and the like, except for keys of
/// tables and what is public.
fn is_secret(name: &str) -> bool {
    const PUBLIC: [&str; 9] = ["public", "primary", "foreign", "partition", "sort", "join", "entity", "stop", "cache"];
    let name = case::snake(name);
    let mut words = name.rsplit('_');
    let last = words.next().unwrap_or_default();
    match last.strip_suffix('s').unwrap_or(last) {
        "key" | "token" => !words.next().is_some_and(|word| PUBLIC.contains(&word)),
        "apikey" | "password" | "passwd" | "passphrase" | "pwd" | "secret" | "credential" => true,
        _ => last == "pass",
    }
}

fn types(catalogue: &Catalogue) -> Vec<&str> {
    catalogue.components().flat_map(|component| &component.generates_plugin_types).map(|kind| kind.as_str()).collect()
}

fn items(node: &Node) -> Vec<&Node> {
    match &node.value {
        value::Value::List(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}
