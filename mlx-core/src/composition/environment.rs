//! Settings from environment variables: `MLX__PLUGIN__FIELD`.

use super::{Composition, PluginEntry, overrides};
use crate::{
    config::Outline,
    diagnostics::{Code, Diagnostic, Location, Source, listing, nearest},
    registry::Registry,
    value::{Node, Value, yaml},
};
use std::collections::HashMap;

/// What the names of the variables begin with.
const PREFIX: &str = "MLX__";

/// What separates the parts of a name.
const SEPARATOR: &str = "__";

/// Lays the variables over the settings of the plugins.
pub(super) fn apply(composition: &mut Composition, registry: &Registry, found: &mut Vec<Diagnostic>) {
    let mut names = composition.variables.names();
    names.retain(|name| name.starts_with(PREFIX));
    names.sort_unstable();
    let mut set: HashMap<(usize, Vec<String>), String> = HashMap::new();
    for name in names {
        let location = Location::whole(Source::environment(name.clone()));
        let (position, rest) = match target(&name, &composition.plugins) {
            Ok(target) => target,
            Err(diagnostic) => {
                found.push(diagnostic.at(&location));
                continue;
            }
        };
        let entry = &composition.plugins[position];
        // A plugin that is not known is reported with its entry.
        let Some(schema) = registry.schema(&entry.kind, &entry.name) else { continue };
        let mut keys = Vec::new();
        let outline = match locate(Some(Outline::of(schema)), Some(&entry.config), &rest, &mut keys) {
            Ok(outline) => outline,
            Err((first, second)) => {
                let message = format!("`{name}` could mean the setting `{first}` or `{second}` of `{}`", entry.id());
                found.push(
                    Diagnostic::error(Code::UnknownOverride, message)
                        .at(&location)
                        .help("write the setting in the composition instead"),
                );
                continue;
            }
        };
        if let Some(other) = set.insert((position, keys.clone()), name.clone()) {
            let message = format!("two environment variables set `{}` of `{}`", keys.join("."), entry.id());
            let other = Location::whole(Source::environment(other));
            found.push(
                Diagnostic::error(Code::DuplicateKey, message)
                    .at(&location)
                    .related(format!("the other one is the {other}"), None)
                    .help("unset one of the two"),
            );
            continue;
        }
        match value(&name, composition, outline.as_ref(), &location) {
            Ok(value) => overrides::lay_over(&mut composition.plugins[position], keys, value, &location),
            Err(message) => {
                let path = format!("{}.config.{}", entry.path, keys.join("."));
                found.push(Diagnostic::error(Code::InvalidValue, message).at(&location).in_path(path));
            }
        }
    }
}

/// A name as it is spelt in a variable.
fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// What follows a part of a name.
fn after<'n>(name: &'n str, part: &str) -> Option<&'n str> {
    name.strip_prefix(part)?.strip_prefix(SEPARATOR).filter(|rest| !rest.is_empty())
}

/// The plugin that a variable is about, and the rest of its name.
fn target(name: &str, entries: &[PluginEntry]) -> Result<(usize, String), Box<Diagnostic>> {
    let ignored = |message: String| Diagnostic::warning(Code::UnknownOverride, message);
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        let message = format!("{name:?} has characters that no setting is spelt with, and is ignored");
        return Err(Box::new(ignored(message)));
    }
    let spelt = folded(&name[PREFIX.len()..]);
    let full =
        |entry: &PluginEntry| after(after(&spelt, &folded(&entry.kind))?, &folded(entry.id())).map(str::to_owned);
    let short = |entry: &PluginEntry| after(&spelt, &folded(entry.id())).map(str::to_owned);
    let mut found = overrides::targets(entries, full);
    if found.is_empty() {
        found = overrides::targets(entries, short);
    }
    if found.len() <= 1 {
        let nothing = || {
            let (plugin, rest) = match spelt.split_once(SEPARATOR) {
                Some((plugin, rest)) if !plugin.is_empty() && !rest.is_empty() => (plugin, rest),
                _ => {
                    return ignored(format!("`{name}` names no setting, and is ignored"))
                        .help("a setting is named `MLX__PLUGIN__FIELD`, where PLUGIN is the plugin's id");
                }
            };
            let ids: Vec<String> = entries.iter().map(|entry| folded(entry.id())).collect();
            let mut diagnostic = ignored(format!("`{name}` names no plugin of the composition, and is ignored"));
            if let Some(near) = nearest(plugin, ids.iter().map(String::as_str)) {
                diagnostic = diagnostic.help(format!("did you mean `{PREFIX}{near}{SEPARATOR}{rest}`?"));
            }
            let names: Vec<String> = ids.iter().map(|id| format!("{PREFIX}{id}{SEPARATOR}…")).collect();
            diagnostic.help(format!("the settings begin with {}", listing(names.iter().map(String::as_str))))
        };
        return found.pop().ok_or_else(|| Box::new(nothing()));
    }
    let labels: Vec<String> =
        found.iter().map(|(at, _)| format!("{}/{}", *entries[*at].kind, entries[*at].id())).collect();
    let mut choices: Vec<String> = found
        .iter()
        .map(|(at, rest)| {
            [&folded(&entries[*at].kind), &folded(entries[*at].id()), rest].map(String::as_str).join(SEPARATOR)
        })
        .map(|choice| format!("{PREFIX}{choice}"))
        .collect();
    choices.sort_unstable();
    choices.dedup();
    let message = format!("`{name}` is ambiguous: it could mean {}", listing(labels.iter().map(String::as_str)));
    let diagnostic = Diagnostic::error(Code::UnknownOverride, message);
    Err(Box::new(match choices.len() == found.len() {
        true => diagnostic.help(format!("write {}", listing(choices.iter().map(String::as_str)))),
        false => diagnostic.help("give one of them an `id` that is spelt differently in capitals and underscores"),
    }))
}

/// Finds the setting that the rest of a name stands for: its keys, and what the schema says of it.
///
/// # Errors
/// Two settings that are spelt alike.
fn locate<'s>(
    outline: Option<Outline<'s>>,
    node: Option<&Node>,
    rest: &str,
    keys: &mut Vec<String>,
) -> Result<Option<Outline<'s>>, (String, String)> {
    let given: Vec<&str> = node.and_then(Node::as_map).into_iter().flatten().map(|entry| entry.key.as_str()).collect();
    let declared = outline.as_ref().map(Outline::properties).unwrap_or_default();
    // One that is in the file already, or is spelt just so, comes before one that is spelt alike.
    let exact: Vec<&str> = declared.iter().copied().filter(|name| rest.eq_ignore_ascii_case(name)).collect();
    let whole: Vec<&str> = declared.iter().copied().filter(|name| folded(name) == rest).collect();
    let part = |names: &[&str]| {
        let parts = names.iter().copied().filter(|name| after(rest, &folded(name)).is_some());
        parts.max_by_key(|name| name.len()).map(str::to_owned)
    };
    let already = given.iter().copied().find(|name| folded(name) == rest);
    let found = match (already, &exact[..], &whole[..]) {
        (Some(name), ..) => Some((name.to_owned(), "")),
        (None, [name, ..], _) | (None, [], [name]) => Some(((*name).to_owned(), "")),
        (None, [], [first, second, ..]) => return Err(((*first).to_owned(), (*second).to_owned())),
        (None, [], []) => {
            let name = part(&given).or_else(|| part(&declared));
            name.map(|name| {
                let rest = after(rest, &folded(&name)).unwrap_or_default();
                (name, rest)
            })
        }
    };
    let (key, rest) = found.unwrap_or_else(|| {
        let (key, rest) = rest.split_once(SEPARATOR).unwrap_or((rest, ""));
        (key.to_ascii_lowercase(), rest)
    });
    let outline = outline.and_then(|outline| outline.property(&key).or_else(|| outline.others()));
    let node = node.and_then(Node::as_map).and_then(|map| map.get(&key));
    keys.push(key);
    match rest {
        "" => Ok(outline),
        rest => locate(outline, node, rest, keys),
    }
}

/// The value of a variable as a setting. What is no list and no mapping stays where it is: the setting refers to it, so
/// that a secret is looked up when its plugin starts.
fn value(
    name: &str,
    composition: &Composition,
    outline: Option<&Outline<'_>>,
    location: &Location,
) -> Result<Node, String> {
    let Some(text) = composition.variables.env(name) else {
        return Err(format!("the value of `{name}` is not Unicode"));
    };
    let at = |value: Value| Node { value, location: Some(location.clone()) };
    let collection = |outline: &Outline<'_>| outline.is("array") || outline.is("object") || outline.is_anything();
    if outline.is_some_and(collection) && text.trim_start().starts_with(['[', '{']) {
        return match yaml::parse(&Source::new(name, text)) {
            Ok(mut node) => {
                node.relocate(&mut |place| *place = Some(location.clone()));
                literal(&mut node);
                Ok(node)
            }
            Err(_) if outline.is_some_and(|outline| outline.is("string") || outline.is_anything()) => {
                Ok(at(reference(name)))
            }
            // The parser could quote what is secret.
            Err(_) => Err(format!("the value of `{name}` is no well-formed list or mapping")),
        };
    }
    Ok(at(reference(name)))
}

fn reference(name: &str) -> Value {
    Value::String(format!("${{env:{name}}}"))
}

/// Takes `${…}` in a value as it stands, as in the values that are not taken apart.
fn literal(node: &mut Node) {
    match &mut node.value {
        Value::String(text) => *text = text.replace("${", "$${"),
        Value::List(items) => items.iter_mut().for_each(literal),
        Value::Map(map) => map.values_mut().for_each(literal),
        _ => {}
    }
}
