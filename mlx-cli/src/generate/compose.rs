//! The components and plugins that a composition file names.

use super::{
    CompositionSource, Extra, Request,
    resolve::{MLX_PLUGINS, Resolver, default_of_secret, is_reference, is_shipped, shipped},
};
use crate::project::Lock;
use mlx_components::catalogue::{Catalogue, Component, ComponentKind, case};
use mlx_core::{
    Composition, Diagnostic, Error, JsonValue, Result,
    config::Located,
    diagnostics::{Code, Location, Severity, Source, listing, nearest, quoted},
    value::{self, Node, Template, Value},
};
use std::collections::BTreeMap;

/// The keys of an entry that say which plugin it is, and its settings.
const KNOWN: [&str; 4] = ["type", "name", "id", "config"];

/// The parts of a composition that come to something in the project, or say nothing to a program.
const TAKEN: [&str; 7] = ["components", "plugins", "variables", "extends", "include", "name", "description"];

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
    /// What is wrong with it, and what may be.
    pub(super) found: Vec<Diagnostic>,
}

/// A request for each component and each plugin of the composition, and what is wrong with the rest of it.
///
/// # Errors
/// A file that cannot be read, or is no composition.
pub(super) fn requests(catalogue: &Catalogue, source: CompositionSource<'_>, lock: &Lock) -> Result<Asked> {
    match source {
        CompositionSource::File(path) => {
            let composition = Composition::from_path(path)?;
            let document = value::read_file(path).map_err(|found| Error::from_diagnostics(path.display(), found))?;
            Ok(read(catalogue, &composition, &document, lock))
        }
        CompositionSource::Text { name, yaml } => {
            let composition = Composition::from_yaml(yaml)?;
            let source = Source::new(name, yaml);
            let document = value::yaml::parse(&source).map_err(|found| Error::from_diagnostics(name, found))?;
            let mut asked = read(catalogue, &composition, &document, lock);
            // What a text is called is not known to the composition; the positions are the same.
            let named = |location: &mut Location| location.source = source.clone();
            for found in &mut asked.found {
                let related = found.related.iter_mut().filter_map(|related| related.location.as_mut());
                found.location.iter_mut().chain(related).for_each(named);
            }
            for request in &mut asked.requests {
                request.location.iter_mut().chain(request.places.values_mut()).for_each(named);
            }
            Ok(asked)
        }
    }
}

fn read(catalogue: &Catalogue, composition: &Composition, document: &Node, lock: &Lock) -> Asked {
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
        let linked = || of_kind(&|component| component.links() == Some(MLX_PLUGINS) && is_shipped(kind, name));
        let scaffold = || of_kind(&|component| component.links().is_none());
        let there = lock.instance(&format!("{kind}/{id}")).is_some();
        let known = resolver.variant_of(kind, name).or_else(own).or_else(linked);
        let Some(component) = known.or_else(scaffold) else {
            let known: Vec<&str> = types(catalogue);
            let message = format!("no component makes plugins of type `{kind}`");
            let unknown = Diagnostic::error(Code::BadAnswer, message).at(entry.kind.location.as_ref());
            found.push(match nearest(kind, known.iter().copied()) {
                Some(near) => unknown.help(format!("did you mean `{near}`?")),
                None => unknown.help(format!("the plugin types are {}", listing(known))),
            });
            continue;
        };
        if known.is_none() && !there {
            found.extend(misspelt(catalogue, kind, &entry.name));
        }
        let linked = component.links().is_some();
        let mut answers = BTreeMap::new();
        let mut places = BTreeMap::new();
        let mut extra = Extra::default();
        for setting in entry.config.as_map().into_iter().flat_map(|map| map.iter()) {
            let at = setting.value.location.as_ref();
            let mut node = setting.value.clone();
            substitute(&variables, &mut node, &mut found);
            let value = node.to_json();
            let variable = component.variable(&setting.key);
            // The settings of a plugin that is linked as it is are its own.
            if variable.is_none() && !there && !linked {
                undeclared(component, kind, id, setting, &mut found, &mut notes);
            }
            if variable.is_some_and(|variable| variable.secret) && is_reference(&value) {
                let refused = value.as_str().and_then(|text| default_of_secret(&setting.key, id, text));
                found.extend(refused.map(|refused| refused.at(unseen(at).as_ref())));
            }
            if variable.is_none() {
                secrets(&setting.key, &setting.key, &node, id, at, &mut found);
            }
            match variable {
                _ if value.is_null() => {}
                Some(_) if !is_reference(&value) => {
                    places.extend(at.map(|at| (setting.key.clone(), at.clone())));
                    answers.insert(setting.key.clone(), value);
                }
                _ => drop(extra.settings.insert(setting.key.clone(), value)),
            }
        }
        // A composition that was put together from several files has no such node for each.
        let node = entries.get(index).filter(|_| entries.len() == composition.plugins().len());
        for other in node.and_then(|node| node.as_map()).into_iter().flat_map(|map| map.iter()) {
            if !KNOWN.contains(&other.key.as_str()) && other.value.value != Value::Null {
                let mut node = other.value.clone();
                substitute(&variables, &mut node, &mut found);
                secrets(&other.key, &other.key, &node, id, None, &mut found);
                extra.keys.insert(other.key.clone(), node.to_json());
            }
        }
        requests.push(Request {
            component: component.name.clone(),
            plugin_type: component.plugin.as_ref().is_some_and(|plugin| plugin.kind.is_none()).then(|| kind.to_owned()),
            name: Some(if linked { name } else { id }.to_owned()),
            id: linked.then(|| id.to_owned()),
            answers,
            places,
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
            "not taken over from the composition: {what}, which a program obeys that reads it; put into `platform.yaml` what \
             yours is to obey"
        ));
    }
    Asked { requests, notes, found }
}

/// The names that a plugin of a type could be meant by: those of vendors, of components and of mlx-plugins.
fn names<'c>(catalogue: &'c Catalogue, kind: &str) -> impl Iterator<Item = &'c str> {
    let known = catalogue.components().filter_map(move |component| {
        let plugin = component.plugin.as_ref()?;
        match component.name.split_once('/') {
            Some((_, last)) => {
                component.generates_plugin_types.iter().any(|makes| makes.as_str() == kind).then_some(last)
            }
            None => plugin.name.as_deref().filter(|_| plugin.kind.as_deref() == Some(kind)),
        }
    });
    known.chain(shipped(kind).map(|name| -> &'c str { name }))
}

/// A warning of a plugin that nobody has and that is to be written, where its name may be a misspelt one.
fn misspelt(catalogue: &Catalogue, kind: &str, name: &Located<String>) -> Option<Diagnostic> {
    let near = nearest(name.as_str(), names(catalogue, kind))?;
    let shown = quoted(&name.escape_debug().to_string());
    let message = format!("there is no plugin {shown} of type `{kind}`, so it is made as one to write");
    let found = Diagnostic::warning(Code::UnknownPlugin, message).at(name.location.as_ref());
    Some(found.help(format!("did you mean `{near}`?")))
}

/// A setting that the component does not declare. A plugin that mlx-plugins has may know more settings than its component, as may
/// the code of a component, so that only a likely misspelling is spoken of; one that is to be written is given them then.
fn undeclared(
    component: &Component,
    kind: &str,
    id: &str,
    setting: &value::Entry,
    found: &mut Vec<Diagnostic>,
    notes: &mut Vec<String>,
) {
    let key = setting.key.as_str();
    let at = setting.key_location.as_ref();
    let known = || component.config_schema.iter().map(|(name, _)| name);
    let near = nearest(key, known()).map(|near| format!("did you mean `{near}`?"));
    let message = format!("`{}` has no setting {}", component.name, quoted(&key.escape_debug().to_string()));
    let plugin = component.plugin.as_ref();
    if component.kind == ComponentKind::Vendor && plugin.is_some_and(|plugin| plugin.shipped.is_none()) {
        let help = near.unwrap_or_else(|| format!("its settings are {}", listing(known())));
        found.push(Diagnostic::error(Code::BadAnswer, message).at(at).help(help));
    } else if let Some(near) = near {
        let help = "it is taken over as it stands: leave it if the plugin itself has a setting of this name";
        found.push(Diagnostic::warning(Code::UnknownField, message).at(at).help(near).help(help));
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

/// Puts the variables of the composition into their places: the project's composition does not have them.
fn substitute(variables: &BTreeMap<String, JsonValue>, node: &mut Node, found: &mut Vec<Diagnostic>) {
    match &mut node.value {
        Value::String(text) => {
            node.value = match expanded(variables, text, 0, &mut { MOST }) {
                Ok(value) => Node::from(value).value,
                Err(why) => {
                    let at = unseen(node.location.as_ref());
                    let refused = Diagnostic::error(Code::BadReference, why).at(at.as_ref());
                    found.push(refused.help("write the value in its place"));
                    Value::Null
                }
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| substitute(variables, item, found)),
        Value::Map(map) => map.values_mut().for_each(|value| substitute(variables, value, found)),
        _ => {}
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
/// declare, so that this is a guess: one that is wrong costs a variable, one that is missing a secret in three files. What a
/// variable stands for has no place of its own, and is `at` that of the whole.
fn secrets(path: &str, name: &str, node: &Node, id: &str, at: Option<&Location>, found: &mut Vec<Diagnostic>) {
    let at = node.location.as_ref().or(at);
    match &node.value {
        Value::String(text) if !text.is_empty() && is_secret(name) => {
            let refers = Template::parse(text).is_ok_and(|read| read.is_some_and(|t| t.references().next().is_some()));
            let path = path.escape_debug();
            if refers {
                let refused = default_of_secret(&path.to_string(), id, text);
                found.extend(refused.map(|refused| refused.at(unseen(at).as_ref())));
                return;
            }
            let variable = format!("{}_{}", case::snake(id), case::snake(name)).to_uppercase();
            let message = format!("`{path}` of `{id}` is a secret by its name, which is not given here");
            let help = format!("write `${{env:{variable}}}` in its place, and set `{variable}` where the program runs");
            found.push(Diagnostic::error(Code::SecretAnswer, message).at(unseen(at).as_ref()).help(help));
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                secrets(&format!("{path}[{index}]"), name, item, id, at, found);
            }
        }
        Value::Map(map) => {
            let secret = matches!(case::snake(name).as_str(), "secrets" | "passwords" | "tokens");
            for value::Entry { key, value, .. } in map {
                secrets(&format!("{path}.{key}"), if secret { name } else { key }, value, id, at, found);
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
        Value::List(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}
