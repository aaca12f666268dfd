//! `plugins.json`: the plugins that a project says it has, compared with those that are linked.

use super::Registry;
use crate::{
    PluginConfig, Result,
    config::{Located, Reader},
    diagnostics::{Code, Diagnostic, Error, Location, Source, listing, nearest},
    plugin::PluginMetadata,
    value::{self, Node, json},
};
use std::{collections::BTreeMap, path::Path};

/// The plugins that a project says it has: its `plugins.json`, which `mlx add` writes.
///
/// ```
/// use mlx_core::{registry, registry::PluginManifest};
///
/// let manifest = PluginManifest::from_json(
///     "plugins.json",
///     r#"{"version": 1, "plugins": [{"type": "data_source", "name": "warehouse", "path": "src/warehouse.rs"}]}"#,
/// )?;
/// let findings = registry().doctor(&manifest);
/// assert_eq!(findings[0].message, "the plugin `warehouse` of type `data_source` is listed and not linked");
/// # Ok::<(), mlx_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PluginManifest {
    plugins: Vec<ListedPlugin>,
    krate: Option<String>,
}

/// An entry of a [`PluginManifest`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ListedPlugin {
    /// The plugin type.
    pub kind: String,
    /// The plugin's name.
    pub name: String,
    /// The versions of the plugin that will do, as a semantic version requirement; any when `None`.
    pub version: Option<String>,
    /// The component that it was made from.
    pub component: Option<String>,
    /// The component's version when it was made.
    pub component_version: Option<String>,
    /// The file that declares it, relative to the project.
    pub path: Option<String>,
    /// Where the entry was written.
    pub location: Option<Location>,
}

/// The file.
#[derive(PluginConfig)]
struct Document {
    /// The version of the format.
    #[config(range(1..=1))]
    version: u32,
    /// The plugins.
    plugins: Vec<Located<Entry>>,
    /// The schema of the file, for editors.
    #[config(rename = "$schema")]
    _schema: Option<String>,
}

#[derive(PluginConfig)]
struct Entry {
    /// The plugin type.
    #[config(rename = "type", non_empty)]
    kind: String,
    /// The plugin's name.
    name: Located<String>,
    /// The versions of the plugin that will do.
    #[config(validate = requirement)]
    version: Option<String>,
    /// The component that it was made from.
    component: Option<String>,
    /// The component's version.
    component_version: Option<String>,
    /// The file that declares it.
    path: Option<String>,
}

fn requirement(text: &Option<String>) -> Result<(), semver::Error> {
    text.as_deref().map_or(Ok(()), |text| semver::VersionReq::parse(text).map(drop))
}

impl PluginManifest {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with everything that is wrong with it.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::read(value::read_file(path)).map_err(|found| Error::from_diagnostics(path.display(), found))
    }

    /// Reads a text. Messages call it `name`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with everything that is wrong with it.
    pub fn from_json(name: &str, text: &str) -> Result<Self> {
        Self::read(json::parse(&Source::new(name, text))).map_err(|found| Error::from_diagnostics(name, found))
    }

    fn read(node: Result<Node, Vec<Diagnostic>>) -> Result<Self, Vec<Diagnostic>> {
        let mut cx = Reader::literal();
        let document = <Document as crate::config::ConfigValue>::read(&node?, &mut cx);
        let plugins = cx.finish(document)?.plugins;
        let mut first = BTreeMap::new();
        let mut twice = Vec::new();
        for (index, entry) in plugins.iter().enumerate() {
            if let Some(before) = first.insert((&entry.kind, &entry.name.value), &entry.name.location) {
                let message = format!("the plugin `{}` of type `{}` is listed twice", entry.name.value, entry.kind);
                twice.push(
                    Diagnostic::error(Code::DuplicateId, message)
                        .at(&entry.name.location)
                        .in_path(format!("plugins[{index}].name"))
                        .related("it is listed here before", before)
                        .help("remove one of the two"),
                );
            }
        }
        if !twice.is_empty() {
            return Err(twice);
        }
        let listed = |Located { value: entry, location }: Located<Entry>| ListedPlugin {
            kind: entry.kind,
            location: entry.name.location.or(location),
            name: entry.name.value,
            version: entry.version,
            component: entry.component,
            component_version: entry.component_version,
            path: entry.path,
        };
        Ok(PluginManifest { plugins: plugins.into_iter().map(listed).collect(), krate: None })
    }

    /// Says whose plugins these are: plugins that other crates bring need not be listed.
    /// `of_crate(env!("CARGO_PKG_NAME"))`.
    #[must_use]
    pub fn of_crate(mut self, package: impl Into<String>) -> Self {
        self.krate = Some(package.into());
        self
    }

    /// The entries, in the order of the file.
    pub fn plugins(&self) -> &[ListedPlugin] {
        &self.plugins
    }
}

impl Registry {
    /// Compares the plugins that a project says it has with those that are linked. Reported are, beside the registry's own
    /// [`problems`](Registry::problems): as errors, listed plugins that are not linked, or in another version; as warnings,
    /// those that another file declares than the one listed, and linked ones that are not listed.
    pub fn doctor(&self, manifest: &PluginManifest) -> Vec<Diagnostic> {
        let mut found = self.problems().to_vec();
        for listed in &manifest.plugins {
            match self.get(&listed.kind, &listed.name) {
                Some(registration) => found.extend(listed.differences(registration.metadata())),
                None => found.push(self.not_linked(listed)),
            }
        }
        let own = |plugin: &&PluginMetadata| manifest.krate.as_deref().is_none_or(|own| plugin.declared.krate == own);
        let is_listed = |plugin: &PluginMetadata| {
            manifest.plugins.iter().any(|listed| listed.kind == plugin.kind.name && listed.name == plugin.name)
        };
        for plugin in self.iter().map(|registration| registration.metadata()).filter(own) {
            if !is_listed(plugin) {
                let (kind, name) = (plugin.kind.name, plugin.name);
                let message = format!("the plugin `{name}` of type `{kind}` is linked and not listed");
                found.push(
                    Diagnostic::warning(Code::NotListed, message)
                        .related(format!("it is declared in {}", plugin.declared), None)
                        .help(format!(r#"add {{"type": "{kind}", "name": "{name}"}} to `plugins` of plugins.json"#)),
                );
            }
        }
        found
    }

    fn not_linked(&self, listed: &ListedPlugin) -> Diagnostic {
        let ListedPlugin { kind, name, .. } = listed;
        let message = format!("the plugin `{name}` of type `{kind}` is listed and not linked");
        let mut finding = Diagnostic::error(Code::NotLinked, message).at(&listed.location);
        let of_type = || self.iter().map(|r| r.metadata()).filter(|m| m.kind.name == kind).map(|m| m.name);
        finding = match (nearest(name, of_type()), self.named(name).next()) {
            (_, Some(other)) => finding.help(format!("there is a `{name}` of type `{}`", other.metadata().kind.name)),
            (Some(near), None) => finding.help(format!("did you mean `{near}`?")),
            (None, None) if of_type().next().is_some() => {
                finding.help(format!("the linked plugins of type `{kind}` are {}", listing(of_type())))
            }
            (None, None) => finding.help(format!("no plugin of type `{kind}` is linked")),
        };
        match &listed.path {
            Some(path) => finding.help(format!(
                "see that {path} is there, declares it with `#[mlx_plugin]`, and is a module of the program (`pub mod …;`)"
            )),
            None => finding.help("link the crate that has it: `mlx_core::link!(that_crate);`"),
        }
    }
}

impl ListedPlugin {
    /// What is different in the plugin that is linked.
    fn differences(&self, linked: &PluginMetadata) -> Vec<Diagnostic> {
        let ListedPlugin { kind, name, .. } = self;
        let mut found = Vec::new();
        let meets = |required: &str| match (semver::VersionReq::parse(required), semver::Version::parse(linked.version))
        {
            (Ok(required), Ok(version)) => required.matches(&version),
            _ => false,
        };
        if let Some(required) = self.version.as_deref().filter(|required| !meets(required)) {
            let message = format!(
                "the plugin `{name}` of type `{kind}` is linked in version {}, and listed with `{required}`",
                linked.version
            );
            found.push(
                Diagnostic::error(Code::ListedDiffers, message)
                    .at(&self.location)
                    .related(format!("it is declared in {}", linked.declared), None)
                    .help("link a version that fits, or change what is listed"),
            );
        }
        let file = linked.declared.file.replace('\\', "/");
        if let Some(path) = self.path.as_deref().filter(|path| !Path::new(&file).ends_with(path)) {
            let message = format!("the plugin `{name}` of type `{kind}` is listed with {path}, and declared in {file}");
            found.push(
                Diagnostic::warning(Code::ListedDiffers, message)
                    .at(&self.location)
                    .help(format!("if it was moved, change its `path`; if not, `{file}` has taken its place")),
            );
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prelude::*, registry::Registration};

    /// Keeps measurements to itself.
    #[mlx_plugin(type = "monitoring", version = "1.2.0")]
    struct Silent;

    #[async_trait]
    impl Plugin for Silent {
        type Config = NoConfig;
        async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
            Ok(Silent)
        }
    }

    #[async_trait]
    impl Monitoring for Silent {
        async fn record(&self, _: Vec<Measurement>) -> Result<()> {
            Ok(())
        }
        async fn export(&self) -> Result<String> {
            Err(Error::not_implemented("silent", "export"))
        }
    }

    static SILENT: Registration = Registration::new::<Silent>();

    fn doctor(entries: &str) -> Vec<String> {
        let text = format!("{{\"version\": 1, \"plugins\": [\n{entries}\n]}}");
        let manifest = PluginManifest::from_json("plugins.json", &text).unwrap().of_crate(env!("CARGO_PKG_NAME"));
        let found = Registry::from_registrations([&SILENT]).doctor(&manifest);
        found.iter().map(|finding| format!("{finding} | {}", finding.help.join(" | "))).collect()
    }

    #[test]
    fn what_is_listed_and_linked_is_fine() {
        let entry = r#"{"type": "monitoring", "name": "silent", "version": "^1.1", "component": "monitoring",
            "component_version": "2.0.0", "path": "registry/manifest.rs"}"#;
        assert_eq!(doctor(entry), [""; 0]);
    }

    #[test]
    fn what_is_not_linked_is_an_error_at_its_line() {
        let found = doctor(r#"{"type": "monitoring", "name": "silnt", "path": "src/silnt.rs"}"#);
        assert!(
            found[0].starts_with(
                "plugins.json:2:32: error[MLX0073]: the plugin `silnt` of type `monitoring` is listed and not linked"
            ),
            "{found:?}"
        );
        assert!(found[0].contains("did you mean `silent`? | see that src/silnt.rs is there"), "{found:?}");
        assert!(
            found[1].contains("warning[MLX0074]: the plugin `silent` of type `monitoring` is linked and not listed")
        );
        assert_eq!(found.len(), 2);
        let other = doctor(r#"{"type": "security", "name": "silent"}"#);
        assert!(other[0].contains("there is a `silent` of type `monitoring`"), "{other:?}");
        assert!(other[0].contains("mlx_core::link!(that_crate);"), "{other:?}");
        let nothing = doctor(r#"{"type": "security", "name": "vault"}"#);
        assert!(nothing[0].contains("no plugin of type `security` is linked"), "{nothing:?}");
        let others = doctor(r#"{"type": "monitoring", "name": "prometheus"}"#);
        assert!(others[0].contains("the linked plugins of type `monitoring` are `silent`"), "{others:?}");
    }

    #[test]
    fn another_version_and_another_file_are_reported() {
        let found = doctor(r#"{"type": "monitoring", "name": "silent", "version": "^2", "path": "src/silent.rs"}"#);
        assert!(found[0].contains("error[MLX0075]"), "{found:?}");
        assert!(found[0].contains("is linked in version 1.2.0, and listed with `^2`"), "{found:?}");
        assert!(found[1].contains("warning[MLX0075]"), "{found:?}");
        assert!(found[1].contains("is listed with src/silent.rs, and declared in "), "{found:?}");
    }

    #[test]
    fn plugins_of_other_crates_need_not_be_listed() {
        let manifest = PluginManifest::from_json("plugins.json", r#"{"version": 1, "plugins": []}"#).unwrap();
        let registry = Registry::from_registrations([&SILENT]);
        assert_eq!(registry.doctor(&manifest).len(), 1);
        assert_eq!(registry.doctor(&manifest.of_crate("another")), []);
    }

    #[test]
    fn all_that_is_wrong_with_the_file_is_said_where_it_is() {
        let text = r#"{
            "version": 2,
            "plugins": [
                {"type": "monitoring", "nam": "silent"},
                {"type": "", "name": "a", "version": "latest"}
            ]
        }"#;
        let error = PluginManifest::from_json("plugins.json", text).unwrap_err();
        let found: Vec<String> = error.diagnostics().iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found[0].starts_with("plugins.json:2:24: error[MLX0023]"), "{found:#?}");
        assert!(
            found.iter().any(|f| f.starts_with("plugins.json:4:40: error[MLX0020]: unknown field `nam`")),
            "{found:#?}"
        );

        let twice = r#"{"version": 1, "plugins": [{"type": "a", "name": "b"}, {"type": "a", "name": "b"}]}"#;
        let error = PluginManifest::from_json("plugins.json", twice).unwrap_err();
        assert!(error.to_string().contains("plugins.json:1:78: error[MLX0053]"), "{error}");

        let error = PluginManifest::from_json("plugins.json", "{").unwrap_err();
        assert!(error.to_string().contains("error[MLX0002]"), "{error}");
        let error = PluginManifest::from_path("no/such/plugins.json").unwrap_err();
        assert!(error.to_string().contains("error[MLX0001]"), "{error}");
    }

    #[test]
    fn a_method_to_be_written_says_where() {
        let error = crate::block_on(Silent.export()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let at = error.diagnostics()[0].location.clone().unwrap();
        assert!(at.source.name().ends_with("src/registry/manifest.rs"), "{at}");
        let lines: Vec<&str> = include_str!("manifest.rs").lines().collect();
        assert!(lines[at.line as usize - 1].contains(r#"Err(Error::not_implemented("silent", "export"))"#), "{at}");
        let report = error.report().to_string();
        assert!(report.contains("error[MLX0099]: `export` of the plugin `silent` is not written yet"), "{report}");
        assert!(report.contains(&format!("manifest.rs:{}:17", at.line)), "{report}");
    }
}
