//! Samples: answers for a component, and what is rendered of them.

use super::{Catalogue, Component, render};
use mlx_core::{
    Diagnostic, Error, JsonValue, PluginConfig, Result,
    config::{ConfigValue, Reader},
    diagnostics::{Code, Source},
    json,
};
use std::{collections::BTreeMap, sync::Arc};

/// A sample: `samples/NAME.json`, whose files are below `samples/NAME`.
#[derive(Clone, Debug, Default, PluginConfig)]
pub struct Sample {
    /// The answers; what is left out is the default.
    #[config(default)]
    pub answers: BTreeMap<String, JsonValue>,
    /// The other components of the project.
    #[config(default)]
    pub components: Vec<String>,
    /// The name of the project.
    #[config(default = "sample-platform")]
    pub project: String,
    /// The plugin that is made, if one is.
    pub plugin: Option<SamplePlugin>,
}

/// The plugin of a [`Sample`].
#[derive(Clone, Debug, PluginConfig)]
pub struct SamplePlugin {
    /// Its type; that of the component where there is no choice.
    #[config(rename = "type")]
    pub kind: Option<String>,
    /// Its name; that of the component where it has one.
    pub name: Option<String>,
}

impl Component {
    /// The samples of the component by name. Only a catalogue that was [opened](Catalogue::open) has any.
    ///
    /// # Errors
    /// What is wrong with their files.
    pub fn samples(&self) -> Result<BTreeMap<String, Sample>> {
        let mut samples = BTreeMap::new();
        let mut found = Vec::new();
        for (path, source) in self.files() {
            let name = path
                .strip_prefix("samples/")
                .and_then(|file| file.strip_suffix(".json"))
                .filter(|name| !name.contains('/'));
            if let Some(name) = name {
                match read(source) {
                    Ok(sample) => drop(samples.insert(name.to_owned(), sample)),
                    Err(problems) => found.extend(problems),
                }
            }
        }
        match found.is_empty() {
            true => Ok(samples),
            false => Err(Error::from_diagnostics(format_args!("the samples of `{}`", self.name), found)),
        }
    }
}

/// The file of a sample.
#[derive(PluginConfig)]
pub(super) struct SampleFile {
    /// The JSON Schema of the file, for editors.
    #[config(rename = "$schema")]
    _schema: Option<String>,
    /// What it says.
    #[config(flatten)]
    sample: Sample,
}

fn read(source: &Arc<Source>) -> Result<Sample, Vec<Diagnostic>> {
    let node = mlx_core::value::json::parse(source)?;
    let mut cx = Reader::literal();
    let file = SampleFile::read(&node, &mut cx);
    cx.finish(file).map(|file| file.sample)
}

impl Catalogue {
    /// The files that a sample becomes, by their paths. Edits are in `edits/FILE/REGION`, one after the other.
    ///
    /// # Errors
    /// What is wrong with its answers, or cannot be rendered.
    pub fn render_sample(&self, component: &Component, sample: &Sample) -> Result<BTreeMap<String, String>> {
        let mut context = component.context(&sample.answers)?;
        context.insert("components".to_owned(), json!(sample.components));
        context.insert("mlx".to_owned(), json!({"version": env!("CARGO_PKG_VERSION")}));
        let crate_name = super::case::snake(&sample.project);
        context.insert(
            "project".to_owned(),
            json!({"name": sample.project, "crate_name": crate_name, "version": "0.1.0"}),
        );
        if let Some(plugin) = &sample.plugin {
            let declared = component.plugin.as_ref();
            let kind = plugin.kind.as_deref().or_else(|| declared?.kind.as_deref()).unwrap_or_default();
            let name = plugin.name.as_deref().or_else(|| declared?.name.as_deref()).unwrap_or("sample");
            context.insert("plugin".to_owned(), component.plugin_context(kind, name, name));
        }
        let context = JsonValue::Object(context);
        let mut files = BTreeMap::new();
        let wanted = |of_plugin: bool| !of_plugin || sample.plugin.is_some();
        for (template, _) in component.all_templates().filter(|(_, of_plugin)| wanted(*of_plugin)) {
            if template.applies(&context)? {
                let text = render::render(template.source(component, self, &context)?, &context)?.text;
                files.insert(template.path(&context)?, text);
            }
        }
        for (edit, _) in component.all_edits().filter(|(_, of_plugin)| wanted(*of_plugin)) {
            if edit.applies(&context)? {
                let entry = edit.entry(component, self, &context)?;
                let file: &mut String =
                    files.entry(format!("edits/{}/{}", edit.path(&context)?, edit.region)).or_default();
                file.push_str(entry.trim_end_matches('\n'));
                file.push('\n');
            }
        }
        Ok(files)
    }

    /// Reports where samples are not rendered as they are recorded.
    pub(super) fn check_samples(&self, component: &Component, found: &mut Vec<Diagnostic>) {
        let samples = match component.samples() {
            Ok(samples) => samples,
            Err(error) => return found.extend(error.diagnostics().iter().cloned()),
        };
        for (name, sample) in samples {
            let place = component.file(&format!("samples/{name}.json")).map(|source| source.span(0..1));
            let files = match self.render_sample(component, &sample) {
                Ok(files) => files,
                Err(error) => {
                    let at_sample = |found: &Diagnostic| match found.location {
                        Some(_) => found.clone(),
                        None => found.clone().at(place.as_ref()),
                    };
                    found.extend(error.diagnostics().iter().map(at_sample));
                    continue;
                }
            };
            let prefix = format!("samples/{name}/");
            let recorded: BTreeMap<&str, &str> = component
                .files()
                .filter_map(|(path, source)| Some((path.strip_prefix(&prefix)?, source.text())))
                .collect();
            let mut refuse = |message: String| {
                let refused = Diagnostic::error(Code::ContentMismatch, message).at(place.as_ref());
                found.push(refused.help("if the change was meant, record the sample again"));
            };
            for (path, text) in &files {
                match recorded.get(path.as_str()) {
                    Some(recorded) if recorded == text => {}
                    Some(_) => {
                        refuse(format!("the sample `{name}` of `{}` renders `{path}` otherwise", component.name))
                    }
                    None => refuse(format!("the sample `{name}` of `{}` has no `{path}`", component.name)),
                }
            }
            for path in recorded.keys().filter(|path| !files.contains_key(**path)) {
                refuse(format!("the sample `{name}` of `{}` does not render `{path}`", component.name));
            }
        }
    }
}
