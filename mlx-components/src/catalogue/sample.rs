//! Samples: answers for a component, and what is rendered of them.

use super::{Catalogue, Component, render};
use mlx_core::{
    Context, Diagnostic, Error, JsonValue, PluginConfig, Result,
    config::{ConfigValue, Reader},
    diagnostics::{Code, Source},
    json,
};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

/// A sample: `samples/NAME.json`, whose files are below `samples/NAME`. The file holds the answers, and what begins with `$` is about
/// the project around them.
#[derive(Clone, Debug, Default, PluginConfig)]
pub struct Sample {
    /// The JSON Schema of the file, for editors.
    #[config(rename = "$schema")]
    pub schema: Option<String>,
    /// The components of the project.
    #[config(rename = "$components", default)]
    pub components: Vec<String>,
    /// The name of the project; `sample` where none is given.
    #[config(rename = "$project")]
    pub project: Option<String>,
    /// The type of the plugin; that of the component, or the first that it can make, where none is given.
    #[config(rename = "$type")]
    pub plugin_type: Option<String>,
    /// The name of the plugin; that of the component, or `sample`, where none is given.
    #[config(rename = "$name")]
    pub plugin_name: Option<String>,
    /// The answers; what is left out is the default.
    #[config(flatten)]
    pub answers: BTreeMap<String, JsonValue>,
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
            false => Err(Error::from_diagnostics(format_args!("the component `{}`", self.name), found)),
        }
    }
}

fn read(source: &Arc<Source>) -> Result<Sample, Vec<Diagnostic>> {
    let node = mlx_core::value::json::parse(source)?;
    let mut cx = Reader::literal();
    let sample = Sample::read(&node, &mut cx);
    cx.finish(sample)
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
        let project = sample.project.as_deref().unwrap_or("sample");
        let about = json!({"name": project, "crate_name": super::case::snake(project), "version": "0.1.0"});
        context.insert("project".to_owned(), about);
        if let Some(plugin) = &component.plugin {
            let first = component.generates_plugin_types.first();
            let kind = plugin.kind.as_deref().or(first.map(|kind| &**kind)).unwrap_or_default();
            let kind = sample.plugin_type.as_deref().unwrap_or(kind);
            let id = sample.plugin_name.as_deref().or(plugin.name.as_deref()).unwrap_or("sample");
            let name = if plugin.shipped.is_some() { format!("{project}-{id}") } else { id.to_owned() };
            context.insert("plugin".to_owned(), component.plugin_context(kind, &name, id));
        }
        let context = JsonValue::Object(context);
        let mut files = BTreeMap::new();
        for (template, _) in component.all_templates() {
            if template.applies(&context)? {
                let text = render::render(template.source(component, self, &context)?, &context)?.text;
                files.insert(template.path(&context)?, text);
            }
        }
        for (edit, _) in component.all_edits() {
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

    /// Records the samples anew: writes what each is rendered as below `samples/NAME`, in the folder that the catalogue was
    /// opened from, and removes what is not rendered any more. Nothing is written unless all of them can be rendered. Returns
    /// the files that were written or removed, relative to the folder.
    ///
    /// # Errors
    /// What is wrong with the samples, or cannot be rendered; a failure of the file system.
    pub fn record_samples(&self, folder: &Path) -> Result<Vec<String>> {
        let whole = Catalogue::embedded()?.overlaid(self.clone());
        let mut rendered = Vec::new();
        for component in self.components() {
            for (name, sample) in component.samples()? {
                let files = whole
                    .render_sample(component, &sample)
                    .map_err(|error| error.context(format!("the sample `{name}` of `{}`", component.name)))?;
                rendered.push((component, format!("samples/{name}/"), files));
            }
        }
        let mut changed = Vec::new();
        for (component, prefix, files) in rendered {
            let recorded = |path: &str| component.file(path).map(|source| source.text());
            for (path, text) in &files {
                let path = format!("{prefix}{path}");
                if recorded(&path) == Some(text) {
                    continue;
                }
                let shown = format!("{}/{path}", component.name);
                let at = folder.join(&shown);
                let written = at.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&at, text));
                written.with_context(|| format!("writing {}", at.display()))?;
                changed.push(shown);
            }
            let is_stale = |path: &&str| path.strip_prefix(&prefix).is_some_and(|path| !files.contains_key(path));
            for path in component.files().map(|(path, _)| path).filter(is_stale) {
                let shown = format!("{}/{path}", component.name);
                fs::remove_file(folder.join(&shown)).with_context(|| format!("removing {shown}"))?;
                changed.push(shown);
            }
        }
        Ok(changed)
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
                found.push(refused.help("if the change was meant, record it: `mlx catalog check DIR --write`"));
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
