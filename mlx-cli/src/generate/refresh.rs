//! What a new component changes in the files of those that are there: templates can ask which components a project has.

use super::render::{Instance, RenderedFile, Rendering, Subject, Surroundings};
use crate::{
    project::{Installed, LockedFile, Sha256, Tree},
    update::Generated,
};
use mlx_components::catalogue::{Catalogue, Component, Expression, render};
use mlx_core::diagnostics::Source;

/// What templates ask for the components of the project by.
const NAME: &str = "components";

/// The components and plugins of the project, but `updated`, whose templates ask for the components, of which there are others
/// now.
pub(super) fn stale(
    tree: &mut Tree<'_>,
    catalogue: &Catalogue,
    around: &Surroundings,
    updated: &[Installed],
) -> Vec<Installed> {
    let is_updated = |entry: &Installed| updated.iter().any(|other| other.id() == entry.id());
    let entries = tree.lock().components.iter();
    let changed = entries.filter(|entry| entry.components != around.components && !is_updated(entry));
    let asks = |entry: &&Installed| {
        let component = catalogue.find(&entry.component);
        component.is_ok_and(|component| asks_for_components(component, catalogue, entry.instance.is_some()))
    };
    let (current, old): (Vec<Installed>, Vec<Installed>) = changed.filter(asks).cloned().partition(|entry| {
        // Another version is another decision.
        catalogue.find(&entry.component).is_ok_and(|component| component.version == entry.version)
    });
    for entry in old {
        let update = format!("`mlx update {}`", entry.component);
        tree.note(format!(
            "`{}` is not up to date, so that it does not know of the new components: {update}",
            entry.id()
        ));
    }
    current
}

/// An entry of the lock as what it was rendered from.
pub(super) fn subject<'c>(component: &'c Component, entry: &Installed) -> Subject<'c> {
    let instance = entry.instance.as_deref().and_then(|full| full.split_once('/')).map(|(kind, id)| {
        let name = entry.plugins.first().and_then(|plugin| plugin.split_once('/')).map_or(id, |(_, name)| name);
        Instance { kind: kind.to_owned(), id: id.to_owned(), name: name.to_owned(), module: entry.module.clone() }
    });
    Subject { component, instance, answers: entry.answers.clone(), extra: entry.extra.clone() }
}

fn asks_for_components(component: &Component, catalogue: &Catalogue, plugin: bool) -> bool {
    let (templates, edits, cargo) = match (&component.plugin, plugin) {
        (Some(plugin), true) => (&plugin.templates[..], &plugin.edits[..], &plugin.cargo),
        _ => (&component.templates[..], &component.edits[..], &component.cargo),
    };
    let text = |text: &str| render::uses(&Source::new("text", text), NAME);
    let when = |when: &Option<Expression>| when.as_ref().is_some_and(|when| render::uses_in_expression(when, NAME));
    let source = |name: &str| component.template(catalogue, name).is_ok_and(|source| render::uses(source, NAME));
    let mut crates = cargo.dependencies.iter().chain(cargo.dev_dependencies.iter());
    templates.iter().any(|template| when(&template.when) || text(&template.target) || source(&template.name))
        || edits.iter().any(|edit| {
            when(&edit.when)
                || text(&edit.file)
                || edit.text.as_ref().is_some_and(|entry| text(entry))
                || edit.template.as_ref().is_some_and(|name| source(name))
        })
        || crates.any(|(_, dependency)| when(&dependency.when))
}

/// What an entry of the lock comes to with the templates of now: what [`update`](crate::update::update) merges into the project.
pub(super) fn generated(entry: &Installed, rendering: &Rendering<'_>, around: &Surroundings) -> Generated {
    let component = rendering.subject.component;
    let file = |file: &RenderedFile| LockedFile {
        path: file.path.clone(),
        target: None,
        template: file.template.clone(),
        version: component.version.clone(),
        rendered: file.rendered,
        base: Sha256::of(&file.content),
    };
    let newer =
        component.changes.iter().filter(|(version, _)| **version > entry.version && **version <= component.version);
    Generated {
        entry: Installed {
            version: component.version.clone(),
            sha256: component.sha256().to_owned(),
            components: around.components.clone(),
            dependencies: rendering.crates.iter().map(|(_, needed)| needed.name.clone()).collect(),
            plugins: rendering.plugin().into_iter().collect(),
            files: rendering.files.iter().map(file).collect(),
            edits: rendering.edits.clone(),
            ..entry.clone()
        },
        contents: rendering.files.iter().map(|file| (file.path.clone(), file.content.clone().into_bytes())).collect(),
        requirements: rendering.crates.clone(),
        changes: newer.flat_map(|(_, lines)| lines.iter().cloned()).collect(),
    }
}
