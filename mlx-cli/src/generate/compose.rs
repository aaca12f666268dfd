//! The components and plugins that a composition file names.

use super::{
    CompositionSource, Extra, Request,
    resolve::{Resolver, is_reference},
};
use crate::project::Lock;
use mlx_components::catalogue::{Catalogue, ComponentKind};
use mlx_core::{
    Composition, Diagnostic, Error, Result,
    diagnostics::{Code, Location, Severity, Source, listing, nearest},
    value::{self, Node},
};
use std::collections::BTreeMap;

/// The keys of an entry that say which plugin it is, and its settings.
const KNOWN: [&str; 4] = ["type", "name", "id", "config"];

/// A request for each component and each plugin of the composition. What excludes each other is refused.
pub(super) fn requests(catalogue: &Catalogue, source: CompositionSource<'_>, lock: &Lock) -> Result<Vec<Request>> {
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
            let mut requests = read(catalogue, &composition, &document, lock).map_err(refused)?;
            requests.iter_mut().for_each(|request| named(&mut request.location));
            Ok(requests)
        }
    }
}

fn read(
    catalogue: &Catalogue,
    composition: &Composition,
    document: &Node,
    lock: &Lock,
) -> Result<Vec<Request>, Vec<Diagnostic>> {
    let mut found: Vec<Diagnostic> =
        composition.problems().iter().filter(|problem| problem.severity == Severity::Error).cloned().collect();
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
        let variant = resolver.variant_of(kind, name);
        let scaffold = catalogue.components().find(|component| {
            component.kind != ComponentKind::Vendor
                && component.plugin.as_ref().is_some_and(|plugin| plugin.kind.is_none())
                && component.generates_plugin_types.iter().any(|known| known.as_str() == kind)
        });
        let Some(component) = variant.or(scaffold) else {
            let known: Vec<&str> = types(catalogue);
            let message = format!("no component makes plugins of type `{kind}`");
            let unknown = Diagnostic::error(Code::BadAnswer, message).at(entry.kind.location.as_ref());
            found.push(match nearest(kind, known.iter().copied()) {
                Some(near) => unknown.help(format!("did you mean `{near}`?")),
                None => unknown.help(format!("the plugin types are {}", listing(known))),
            });
            continue;
        };
        let mut answers = BTreeMap::new();
        let mut extra = Extra::default();
        for setting in entry.config.as_map().into_iter().flat_map(|map| map.iter()) {
            let value = setting.value.to_json();
            match component.variable(&setting.key) {
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
                extra.keys.insert(other.key.clone(), value);
            }
        }
        requests.push(Request {
            component: component.name.clone(),
            plugin_type: component.plugin.as_ref().is_some_and(|plugin| plugin.kind.is_none()).then(|| kind.to_owned()),
            name: Some(id.to_owned()),
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
    match found.is_empty() {
        true => Ok(requests),
        false => Err(found),
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
