//! A component, or one plugin made of it, as files, entries and crates: nothing of the project is looked at.

use super::{
    defaults::{COMPOSITION, PLUGINS},
    extra,
};
use crate::{
    manifest::{Origin, Requirement, Section},
    plugins_json,
    project::{LockedEdit, ProjectPath, Sha256},
};
use mlx_components::catalogue::{self, Catalogue, Component, render};
use mlx_core::{Diagnostic, JsonValue, Result, diagnostics::Source, json};
use std::{collections::BTreeMap, sync::Arc};

/// What all of a project's renders have in common.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The project's name.
    pub project: String,
    /// The components that the project has, or is to have, sorted.
    pub components: Vec<String>,
    /// Where the mlx crates come from.
    pub origin: MlxOrigin,
}

/// Where the mlx crates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MlxOrigin {
    /// A checkout: its folder, in which each crate has its own.
    Path(String),
    /// A git repository, and perhaps a `branch`, `tag` or `rev` of it.
    Git(String, Option<(String, String)>),
    /// The registry.
    Registry,
}

/// A plugin that is made of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The plugin type.
    pub kind: String,
    /// The id that it runs under.
    pub id: String,
    /// The name that it is registered with: the id, `PROJECT-ID` where it is put around a plugin that MLX ships, or what a plugin that
    /// is linked as it is has for one.
    pub name: String,
    /// Its module; `None` for a plugin that is linked as it is.
    pub module: Option<String>,
}

impl Instance {
    /// What tells it from all others: `data_source/snowflake`.
    pub fn full_id(&self) -> String {
        format!("{}/{}", self.kind, self.id)
    }
}

/// A component, or a plugin of it, with its answers.
#[derive(Clone, Debug)]
pub struct Subject<'c> {
    /// The component.
    pub component: &'c Component,
    /// The plugin; `None` for the component itself.
    pub instance: Option<Instance>,
    /// The answers that were given. None of them is secret.
    pub answers: BTreeMap<String, JsonValue>,
    /// What the plugin's entry in the composition has beside what its template says.
    pub extra: extra::Extra,
}

/// What a [`Subject`] becomes.
#[derive(Clone, Debug)]
pub struct Rendering<'c> {
    /// What was rendered.
    pub subject: Subject<'c>,
    /// The files.
    pub files: Vec<RenderedFile>,
    /// The entries in regions of other files.
    pub edits: Vec<LockedEdit>,
    /// The crates.
    pub crates: Vec<(Section, Requirement)>,
    /// The entry in `plugins.json`.
    pub listed: Option<plugins_json::Entry>,
}

impl Rendering<'_> {
    /// The plugin that it is, as `type/name`: one that is listed in `plugins.json`, or linked as it is.
    pub(super) fn plugin(&self) -> Option<String> {
        let instance = self.subject.instance.as_ref()?;
        let linked = self.subject.component.links().is_some();
        (linked || self.listed.is_some()).then(|| format!("{}/{}", instance.kind, instance.name))
    }
}

/// A file as its template makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedFile {
    /// Where it goes.
    pub path: ProjectPath,
    /// The template's name.
    pub template: String,
    /// The hash of the text as it came from the template.
    pub rendered: Sha256,
    /// The text, formatted once [`format`](super::format_all) has been called.
    pub content: String,
}

/// Renders a component or a plugin.
///
/// # Errors
/// What is wrong with the answers; a template that fails, with its position; a target that is no safe path.
pub fn render<'c>(catalogue: &'c Catalogue, subject: Subject<'c>, around: &Surroundings) -> Result<Rendering<'c>> {
    let component = subject.component;
    let context = context(&subject, around)?;
    let none = catalogue::Cargo::default();
    let (templates, edits, cargo) = match (&subject.instance, &component.plugin) {
        (None, _) => (&component.templates[..], &component.edits[..], &component.cargo),
        (Some(_), Some(plugin)) => (&plugin.templates[..], &plugin.edits[..], &plugin.cargo),
        (Some(_), None) => (&[][..], &[][..], &none),
    };
    let mut files = Vec::new();
    for template in templates {
        if !template.applies(&context)? {
            continue;
        }
        let path = ProjectPath::target(&template.path(&context)?)?;
        let content = render::render(template.source(component, catalogue, &context)?, &context)?.text;
        let rendered = Sha256::of(&content);
        files.push(RenderedFile { path, template: template.name.to_string(), rendered, content });
    }
    let mut entries = Vec::new();
    for edit in edits {
        if !edit.applies(&context)? {
            continue;
        }
        let file = ProjectPath::target(&edit.path(&context)?)?;
        let mut text = edit.entry(component, catalogue, &context)?;
        if file.as_str() == COMPOSITION && edit.region.as_str() == PLUGINS && subject.instance.is_some() {
            text = subject.extra.laid_over(&text);
        }
        entries.push(LockedEdit { file, region: edit.region.to_string(), text });
    }
    let mut crates = Vec::new();
    for (section, dependencies) in [(Section::Normal, &cargo.dependencies), (Section::Dev, &cargo.dev_dependencies)] {
        for (name, dependency) in dependencies.iter() {
            if dependency.applies(&context)? {
                let mut needed = requirement(name, dependency, &around.origin);
                if let (Some(instance), Some(package)) = (&subject.instance, component.links())
                    && package == name
                {
                    needed.features.push(feature_of(&instance.kind, &instance.name));
                }
                crates.push((section, needed));
            }
        }
    }
    let main = files.iter().find(|file| file.path.as_str().ends_with(".rs"));
    let listed = subject.instance.as_ref().zip(main).map(|(instance, main)| plugins_json::Entry {
        kind: instance.kind.clone(),
        name: instance.name.clone(),
        component: component.name.clone(),
        component_version: component.version.to_string(),
        path: main.path.to_string(),
    });
    Ok(Rendering { subject, files, edits: entries, crates, listed })
}

/// What templates are given.
fn context(subject: &Subject<'_>, around: &Surroundings) -> Result<JsonValue> {
    let component = subject.component;
    let mut context = component.context(&subject.answers)?;
    context.insert(
        "project".to_owned(),
        json!({
            "name": around.project,
            "crate_name": catalogue::case::snake(&around.project),
            "version": "0.1.0",
        }),
    );
    context.insert("mlx".to_owned(), json!({"version": env!("CARGO_PKG_VERSION")}));
    context.insert("components".to_owned(), json!(around.components));
    if let Some(instance) = &subject.instance {
        context.insert("plugin".to_owned(), plugin_context(component, instance));
    }
    Ok(JsonValue::Object(context))
}

/// The template of a file with its text, and what it makes, which knows which line comes from where.
pub(super) fn render_file<'c>(
    catalogue: &'c Catalogue,
    subject: &Subject<'c>,
    around: &Surroundings,
    template: &str,
    target: &ProjectPath,
) -> Result<Option<(&'c Arc<Source>, render::Rendered)>> {
    let component = subject.component;
    let context = context(subject, around)?;
    let templates = match &subject.instance {
        None => &component.templates[..],
        Some(_) => component.plugin.as_ref().map_or(&[][..], |plugin| &plugin.templates),
    };
    for candidate in templates.iter().filter(|candidate| *candidate.name == *template) {
        if candidate.applies(&context)? && candidate.path(&context)? == target.as_str() {
            let source = candidate.source(component, catalogue, &context)?;
            return Ok(Some((source, render::render(source, &context)?)));
        }
    }
    Ok(None)
}

fn plugin_context(component: &Component, instance: &Instance) -> JsonValue {
    let mut plugin = component.plugin_context(&instance.kind, &instance.name, &instance.id);
    // Another plugin may have the module that the id gives.
    if let Some(module) = &instance.module {
        plugin["module"] = json!(module);
    }
    plugin
}

/// The feature of a package behind which it has a plugin: `model-server-local`.
pub(crate) fn feature_of(kind: &str, name: &str) -> String {
    format!("{}-{name}", catalogue::case::kebab(kind))
}

fn requirement(name: &str, dependency: &catalogue::CargoDependency, origin: &MlxOrigin) -> Requirement {
    let features = dependency.features.iter().map(ToString::to_string).collect();
    let version = dependency.version.as_ref().map(ToString::to_string);
    let ours = version.is_none();
    Requirement {
        name: name.to_owned(),
        features,
        // Of our crates, only the core has defaults that a project wants without asking.
        default_features: dependency.default_features.unwrap_or(!ours || name == "mlx-core"),
        source: match origin {
            _ if !ours => None,
            MlxOrigin::Path(folder) => Some(Origin::Path(format!("{folder}/{name}"))),
            MlxOrigin::Git(url, reference) => Some(Origin::Git(url.clone(), reference.clone())),
            MlxOrigin::Registry => None,
        },
        version: match (version, origin) {
            (None, MlxOrigin::Registry) => Some(env!("CARGO_PKG_VERSION").to_owned()),
            (version, _) => version,
        },
        shared: ours,
    }
}

/// Adds to findings what an error says, so that all of them are seen at once.
pub(super) fn collect<T>(result: Result<T>, found: &mut Vec<Diagnostic>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.diagnostics().is_empty() => Err(error),
        Err(error) => {
            found.extend(error.diagnostics().iter().cloned());
            Ok(None)
        }
    }
}
