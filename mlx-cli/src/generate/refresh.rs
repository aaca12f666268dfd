//! What a new component changes in the files of those that are there: templates can ask which components a project has.

use super::{
    place,
    render::{Instance, Rendering, Subject, Surroundings, collect, render},
};
use crate::{
    merge::{self, Labels, Merge},
    project::{Installed, LockedFile, Tree},
};
use mlx_components::catalogue::{Catalogue, Component};
use mlx_core::{Diagnostic, Result, diagnostics::Code};

/// The components and plugins of the project whose templates ask for the components, rendered anew.
pub(super) fn stale<'c>(
    tree: &mut Tree<'_>,
    catalogue: &'c Catalogue,
    around: &Surroundings,
) -> Result<Vec<Rendering<'c>>> {
    let mut renderings = Vec::new();
    let installed = tree.lock().components.clone();
    for entry in installed.iter().filter(|entry| entry.components != around.components) {
        let Ok(component) = catalogue.find(&entry.component) else { continue };
        if !asks_for_components(component, catalogue, entry.instance.is_some()) {
            continue;
        }
        if component.version != entry.version {
            tree.note(format!(
                "`{}` is not up to date, so that it does not know of the new components: `mlx update {}`",
                entry.id(),
                entry.component
            ));
            continue;
        }
        renderings.push(render(catalogue, subject(component, entry), around)?);
    }
    Ok(renderings)
}

/// An entry of the lock as what it was rendered from.
pub(super) fn subject<'c>(component: &'c Component, entry: &Installed) -> Subject<'c> {
    let instance = entry.instance.as_deref().and_then(|full| full.split_once('/')).map(|(kind, id)| {
        let name = entry.plugins.first().and_then(|plugin| plugin.split_once('/')).map_or(id, |(_, name)| name);
        Instance {
            kind: kind.to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
            module: entry.module.clone().unwrap_or_else(|| mlx_components::catalogue::case::snake(id)),
        }
    });
    Subject { component, instance, answers: entry.answers.clone(), extra: entry.extra.clone() }
}

fn asks_for_components(component: &Component, catalogue: &Catalogue, plugin: bool) -> bool {
    let (templates, edits, cargo) = match (&component.plugin, plugin) {
        (Some(plugin), true) => (&plugin.templates[..], &plugin.edits[..], &plugin.cargo),
        _ => (&component.templates[..], &component.edits[..], &component.cargo),
    };
    let asks = |text: &str| {
        text.match_indices("components").any(|(at, word)| {
            let before = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-');
            let after =
                text[at + word.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric() && !"_:/".contains(c));
            before && after
        })
    };
    let source = |name: &str| component.template(catalogue, name).is_ok_and(|source| asks(source.text()));
    let crates = || cargo.dependencies.iter().chain(cargo.dev_dependencies.iter());
    templates.iter().any(|t| t.when.as_ref().is_some_and(|when| asks(when)) || asks(&t.target) || source(&t.name))
        || edits.iter().any(|e| {
            e.when.as_ref().is_some_and(|when| asks(when))
                || e.text.as_ref().is_some_and(|text| asks(text))
                || e.template.as_ref().is_some_and(|name| source(name))
        })
        || crates().any(|(_, dependency)| dependency.when.as_ref().is_some_and(|when| asks(when)))
}

/// Brings the files of an entry to what they are with the new components. The user's changes stay.
pub(super) fn refresh(
    tree: &mut Tree<'_>,
    rendering: &Rendering<'_>,
    around: &Surroundings,
    found: &mut Vec<Diagnostic>,
) -> Result<()> {
    let component = &rendering.subject.component.name;
    let instance = rendering.subject.instance.as_ref().map(Instance::full_id);
    let Some(mut entry) = tree.lock().find(component, instance.as_deref()).cloned() else { return Ok(()) };
    let why = |template: &str| format!("{component}: {template}, for the new components");
    for file in &rendering.files {
        let Some(locked) = entry.files.iter_mut().find(|locked| locked.path == file.path) else {
            if tree.read(&file.path)?.is_some_and(|there| there != file.content.as_bytes()) {
                let message = format!("`{}` is there already, and `{}` would create it", file.path, entry.id());
                found.push(Diagnostic::error(Code::Occupied, message).help("move the file"));
                continue;
            }
            let base = tree.keep_base(file.content.as_str());
            tree.write(file.path.clone(), file.content.as_str(), why(&file.template));
            entry.files.push(LockedFile {
                path: file.path.clone(),
                template: file.template.clone(),
                version: entry.version.clone(),
                rendered: file.rendered,
                base,
            });
            continue;
        };
        if locked.rendered == file.rendered {
            continue;
        }
        let Some(ours) = tree.read(&file.path)? else {
            tree.note(format!("`{}` was removed, and stays so", file.path));
            continue;
        };
        let Some(base) = tree.base(&locked.base)? else {
            let lost = format!("`{}` cannot be brought up to date: its render in .mlx/base is lost", file.path);
            tree.warn(Diagnostic::warning(Code::BadLock, lost).help("restore `.mlx/base` from version control"));
            continue;
        };
        let theirs = file.content.as_bytes();
        let labels = Labels { theirs: component, ..Labels::default() };
        let merged = match file.path.as_str() {
            "Cargo.toml" => merge::toml(&base, &ours, theirs, &labels),
            _ => merge::three_way(&base, &ours, theirs, &labels),
        };
        match merged {
            Merge::Clean(text) if ours == base => tree.write(file.path.clone(), text, why(&file.template)),
            Merge::Clean(text) => tree.merge(file.path.clone(), text, why(&file.template)),
            Merge::Conflict { text, .. } => {
                tree.merge(file.path.clone(), text, why(&file.template));
                tree.conflict(file.path.clone());
            }
            Merge::Binary => {
                tree.note(format!("`{}` is no text, and stays as it is", file.path));
                continue;
            }
        }
        locked.rendered = file.rendered;
        locked.base = tree.keep_base(theirs);
    }
    for edit in rendering.edits.iter().filter(|edit| !entry.edits.contains(edit)).cloned().collect::<Vec<_>>() {
        if collect(place::enter(tree, &edit, component), found)?.is_some() {
            entry.edits.push(edit);
        }
    }
    let added = collect(place::require(tree, rendering), found)?.unwrap_or_default();
    entry.dependencies.extend(added);
    entry.components.clone_from(&around.components);
    tree.lock_mut().put(entry);
    Ok(())
}
