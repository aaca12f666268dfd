//! A component, as its `component.json` says.

use super::{
    Catalogue, case,
    ordered::Ordered,
    render,
    text::{
        CargoName, ComponentName, DependencyText, Expression, Inline, KebabName, Line, PLUGIN_TYPE, RequirementText,
        RustPath, SnakeName, Target, TemplateName, VersionText, split_dependency,
    },
    variable::Variable,
};
use mlx_core::{
    Diagnostic, Error, JsonValue, PluginConfig, Result,
    config::{ConfigValue, Reader},
    diagnostics::{Code, Location, Source, listing, nearest},
    json,
};
use semver::{Version, VersionReq};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PluginConfig)]
#[config(rename_all = "lowercase")]
pub enum ComponentKind {
    /// A part of a platform that answers requests or does work.
    Service,
    /// A kind of plugin.
    Plugin,
    /// A variant for one product: `data-sources/snowflake`.
    Vendor,
    /// Code that others use.
    Library,
    /// A project itself.
    Project,
}

impl ComponentKind {
    /// As a component file writes it: `service`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ComponentKind::Service => "service",
            ComponentKind::Plugin => "plugin",
            ComponentKind::Vendor => "vendor",
            ComponentKind::Library => "library",
            ComponentKind::Project => "project",
        }
    }
}

/// Another component that one needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// The versions of it that will do.
    pub range: VersionReq,
    /// Where it was written.
    pub location: Option<Location>,
}

/// A file that a component adds to a project.
#[derive(Clone, Debug, PluginConfig)]
pub struct Template {
    /// Its file below `templates`, or `component:name` for one of another component.
    pub name: TemplateName,
    /// What the file is for, in one sentence.
    pub description: Option<Line>,
    /// The file of the project; `{{ … }}` stands for answers.
    pub target: Target,
    /// The variables and settings that the template uses.
    #[config(default)]
    pub variables: Vec<String>,
    /// Whether the file is added.
    pub when: Option<Expression>,
}

/// An entry in a file of the project that is the user's, between `mlx:begin NAME` and `mlx:end NAME`.
#[derive(Clone, Debug, PluginConfig)]
#[config(validate = Edit::one_text)]
pub struct Edit {
    /// The file of the project; `{{ … }}` stands for answers.
    pub file: Target,
    /// The region.
    pub region: SnakeName,
    /// The entry, a template.
    pub text: Option<Inline>,
    /// The template's file that makes the entry, in place of `text`.
    pub template: Option<TemplateName>,
    /// Whether the entry is added.
    pub when: Option<Expression>,
}

impl Edit {
    fn one_text(&self) -> Result<(), &'static str> {
        match (&self.text, &self.template) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            _ => Err("an edit has either `text` or `template`"),
        }
    }
}

/// What a component adds to the project's `Cargo.toml`.
#[derive(Clone, Debug, Default, PluginConfig)]
pub struct Cargo {
    /// Packages that the program needs.
    #[config(default)]
    pub dependencies: Ordered<CargoDependency>,
    /// Packages that its tests need.
    #[config(rename = "dev-dependencies", default)]
    pub dev_dependencies: Ordered<CargoDependency>,
}

/// A package that a component needs.
#[derive(Clone, Debug, PluginConfig)]
pub struct CargoDependency {
    /// The versions that will do. The packages of MLX have none: where they come from is the project's choice.
    pub version: Option<RequirementText>,
    /// The features that are needed.
    #[config(default)]
    pub features: Vec<CargoName>,
    /// Whether the package's default features are on, if that is said.
    #[config(rename = "default-features")]
    pub default_features: Option<bool>,
    /// Whether the package is needed.
    pub when: Option<Expression>,
}

/// What a component adds for each plugin that is made of it.
#[derive(Clone, Debug, Default, PluginConfig)]
pub struct PluginTemplates {
    /// The plugin type, where there is no choice.
    #[config(rename = "type")]
    pub kind: Option<SnakeName>,
    /// The name of the plugin where none is asked for.
    pub name: Option<KebabName>,
    /// What the plugin can do, as its registration says.
    #[config(default)]
    pub capabilities: Vec<Line>,
    /// The plugins and capabilities that it cannot run beside.
    #[config(default)]
    pub conflicts_with: Vec<Line>,
    /// What it needs to run: a plugin, `type:…`, `capability:…`.
    #[config(default)]
    pub requires: Vec<Line>,
    /// What it uses if it is there.
    #[config(default)]
    pub optional: Vec<Line>,
    /// The formats of data that it exchanges.
    #[config(default)]
    pub data_formats: Vec<Line>,
    /// How it is replaced while the program runs: `overlap`, `handover` or `restart`.
    #[config(one_of = ["overlap", "handover", "restart"])]
    pub swap: Option<String>,
    /// Whether it runs only with an account somewhere, so that a new project has it switched off.
    #[config(default)]
    pub account: bool,
    /// Settings with which its tests start it. What they hold is made up, for secrets too.
    pub example: Option<BTreeMap<String, JsonValue>>,
    /// The files.
    #[config(default)]
    pub templates: Vec<Template>,
    /// The entries in files of the user.
    #[config(default)]
    pub edits: Vec<Edit>,
    /// The packages.
    #[config(default)]
    pub cargo: Cargo,
    /// The plugin that MLX itself has for this.
    pub shipped: Option<Shipped>,
    /// The package, one of those in `cargo`, that has the plugins, each behind the feature `TYPE-NAME`: they are linked as they are, and
    /// nothing is made around them.
    pub links: Option<CargoName>,
}

/// A plugin that MLX itself has.
#[derive(Clone, Debug, PluginConfig)]
pub struct Shipped {
    /// The package.
    #[config(rename = "crate")]
    pub package: CargoName,
    /// The plugin's name there.
    pub name: Option<KebabName>,
    /// Its feature.
    pub feature: CargoName,
    /// The module that has the plugin.
    pub path: RustPath,
    /// The plugin's type in Rust.
    #[config(rename = "struct")]
    pub struct_name: RustPath,
    /// The type of its settings.
    pub config: RustPath,
}

/// A component file.
#[derive(PluginConfig)]
pub(super) struct ComponentFile {
    /// The JSON Schema of the file, for editors.
    #[config(rename = "$schema")]
    _schema: Option<String>,
    /// The name: the component's folder in the catalogue.
    name: ComponentName,
    /// Other names that it is found by.
    #[config(default)]
    aliases: Vec<ComponentName>,
    /// The version of the component. It rises with each change of what is rendered.
    version: VersionText,
    /// What it is, in one sentence.
    description: Line,
    /// What kind of component it is.
    #[config(rename = "type")]
    kind: ComponentKind,
    /// The versions of the packages of MLX that the rendered code works with.
    #[config(default)]
    compatibility: Ordered<RequirementText>,
    /// Components that are added before this one: `name`, or `name@range`.
    #[config(default)]
    dependencies: Vec<DependencyText>,
    /// Components that cannot be in the same project.
    #[config(default)]
    conflicts_with: Vec<ComponentName>,
    /// Components whose presence changes what this one renders.
    #[config(default)]
    enhances: Vec<ComponentName>,
    /// The plugin types that plugins made of it can have.
    #[config(default)]
    generates_plugin_types: Vec<SnakeName>,
    /// What others attach to.
    #[config(default)]
    integration_points: Vec<SnakeName>,
    /// What the templates ask for.
    #[config(default)]
    variables: Ordered<Variable>,
    /// The settings that plugins inherit, and that templates can ask for too. `component_config!` makes a Rust type of them.
    #[config(default)]
    config_schema: Ordered<Variable>,
    /// The files that it adds to a project.
    #[config(default)]
    templates: Vec<Template>,
    /// The entries that it makes in files of the user.
    #[config(default)]
    edits: Vec<Edit>,
    /// The packages that it needs.
    #[config(default)]
    cargo: Cargo,
    /// What it adds for each plugin that is made of it.
    plugin: Option<PluginTemplates>,
    /// What changed in a version for those who use the rendered code: sentences by version.
    #[config(default)]
    changes: Ordered<Vec<Line>>,
}

/// A component of the catalogue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Component {
    /// Its name, which is its folder: `api-serving`, `data-sources/snowflake`.
    pub name: String,
    /// Other names that it is found by.
    pub aliases: Vec<ComponentName>,
    /// Its version.
    pub version: Version,
    /// What it is, in one sentence.
    pub description: String,
    /// What kind of component it is.
    pub kind: ComponentKind,
    /// The versions of the packages of MLX that the rendered code works with.
    pub compatibility: BTreeMap<String, VersionReq>,
    /// Components that are added before it.
    pub dependencies: Vec<Dependency>,
    /// Components that cannot be in the same project.
    pub conflicts_with: Vec<ComponentName>,
    /// Components whose presence changes what it renders.
    pub enhances: Vec<ComponentName>,
    /// The plugin types that plugins made of it can have.
    pub generates_plugin_types: Vec<SnakeName>,
    /// What others attach to.
    pub integration_points: Vec<SnakeName>,
    /// What its templates ask for.
    pub variables: Ordered<Variable>,
    /// The settings that plugins inherit; those that are no secrets are given to templates too.
    pub config_schema: Ordered<Variable>,
    /// The files that it adds to a project.
    pub templates: Vec<Template>,
    /// The entries that it makes in files of the user.
    pub edits: Vec<Edit>,
    /// The packages that it needs.
    pub cargo: Cargo,
    /// What it adds for each plugin that is made of it; `None` where it makes none.
    pub plugin: Option<PluginTemplates>,
    /// What changed for those who use the rendered code, by version.
    pub changes: BTreeMap<Version, Vec<String>>,
    /// Whether this crate has its settings as a type.
    embedded: bool,
    files: BTreeMap<String, Arc<Source>>,
    sha256: OnceLock<String>,
}

/// The name of a component's own file.
pub(super) const FILE: &str = "component.json";

/// Names that every template has, beside the answers.
pub(super) const AMBIENT: [&str; 5] = ["component", "components", "mlx", "plugin", "project"];

impl Component {
    /// Reads the component of a folder from its files, whose paths are relative to the folder.
    pub(super) fn read(
        folder: &str,
        files: BTreeMap<String, Arc<Source>>,
        embedded: bool,
    ) -> Result<Self, Vec<Diagnostic>> {
        let Some(source) = files.get(FILE) else {
            return Err(vec![Diagnostic::error(Code::Unreadable, format!("`{folder}` has no `{FILE}`"))]);
        };
        let node = mlx_core::value::json::parse(source)?;
        let mut cx = Reader::literal();
        let file = ComponentFile::read(&node, &mut cx);
        if let Some(file) = &file {
            file.check(folder, &mut cx);
        }
        let file = cx.finish(file)?;
        Ok(file.into_component(files, embedded))
    }

    /// The sum of the component: SHA-256 over the names and sums of its files, samples apart, in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| {
            let mut digest = Sha256::new();
            for (path, source) in self.recorded_files() {
                digest.update(format!("{}  {path}\n", sha256(source.text().as_bytes())));
            }
            hexadecimal(&digest.finalize())
        })
    }

    /// The files that count for its sum: samples are for the tests of its author.
    pub(super) fn recorded_files(&self) -> Vec<(&str, &Arc<Source>)> {
        self.files().filter(|(path, _)| !path.starts_with("samples/")).collect()
    }

    /// The files of the component and their texts, by their paths in its folder.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Arc<Source>)> {
        self.files.iter().map(|(path, source)| (path.as_str(), source))
    }

    /// The text of one of its files: `README.md`.
    pub fn file(&self, path: &str) -> Option<&Arc<Source>> {
        self.files.get(path)
    }

    /// The text of a template: of a file below `templates`, or of `component:name`, which is another component's.
    ///
    /// # Errors
    /// [`NotFound`](mlx_core::ErrorKind::NotFound) where there is none.
    pub fn template<'c>(&'c self, catalogue: &'c Catalogue, name: &str) -> Result<&'c Arc<Source>> {
        let (component, file) = match name.split_once(':') {
            Some((component, file)) => (catalogue.find(component)?, file),
            None => (self, name),
        };
        component.file(&format!("templates/{file}")).ok_or_else(|| {
            let known: Vec<&str> = component.files.keys().filter_map(|path| path.strip_prefix("templates/")).collect();
            let found = Diagnostic::error(Code::Unreadable, format!("`{}` has no template `{file}`", component.name));
            let found = match nearest(file, known.iter().copied()) {
                Some(near) => found.help(format!("did you mean `{near}`?")),
                None => found.help(format!("its templates are {}", listing(known))),
            };
            Error::from_diagnostics(format_args!("the component `{}`", self.name), vec![found])
                .with_kind(mlx_core::ErrorKind::NotFound)
        })
    }

    /// The package whose plugins are linked as they are, where the component makes none around them.
    pub fn links(&self) -> Option<&str> {
        self.plugin.as_ref()?.links.as_deref()
    }

    /// What can be answered: its variables, and its settings that are no secrets.
    pub fn questions(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.variables.iter().chain(self.config_schema.iter()).filter(|(_, variable)| !variable.secret)
    }

    /// The variable or setting of this name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.get(name).or_else(|| self.config_schema.get(name))
    }

    /// The path of the Rust type that holds its settings, `mlx_components::data_sources::Snowflake`; `None` where it has no
    /// settings, or is no component of this crate.
    pub fn config_type(&self) -> Option<String> {
        let (section, last) = self.name.split_once('/').unwrap_or(("services", &self.name));
        let named = self.embedded && !self.config_schema.is_empty();
        named.then(|| format!("mlx_components::{}::{}", case::snake(section), case::upper_camel(last)))
    }

    /// Completes answers with the defaults, and checks all of them. A setting that has neither is null; the settings of a
    /// plugin are given in a composition, so that `required` is for them no matter here.
    ///
    /// # Errors
    /// [`Invalid`](mlx_core::ErrorKind::Invalid), with everything that is wrong: unknown names, values that a variable does
    /// not take, variables without a value.
    pub fn answers(&self, given: &BTreeMap<String, JsonValue>) -> Result<BTreeMap<String, JsonValue>> {
        let mut found = Vec::new();
        for (name, value) in given {
            match self.variable(name) {
                Some(variable) => found.extend(variable.problem(value).err().map(|problem| problem.in_path(name))),
                None => found.push(self.unknown_variable(name)),
            }
        }
        for (name, variable) in self.variables.iter() {
            if variable.required && !given.contains_key(name) {
                let problem = Diagnostic::error(Code::MissingField, format!("`{name}` has no value")).in_path(name);
                found.push(
                    problem
                        .help(format!("{}; give it with `--set {name}=…`", variable.description.trim_end_matches('.'))),
                );
            }
        }
        if !found.is_empty() {
            return Err(Error::from_diagnostics(format_args!("what is answered for `{}`", self.name), found));
        }
        let value = |name: &str, variable: &Variable| {
            given.get(name).or(variable.default.as_ref()).cloned().unwrap_or_default()
        };
        Ok(self.questions().map(|(name, variable)| (name.to_owned(), value(name, variable))).collect())
    }

    fn unknown_variable(&self, name: &str) -> Diagnostic {
        let known = || self.questions().map(|(name, _)| name);
        let found =
            Diagnostic::error(Code::UnknownField, format!("`{}` asks for no `{name}`", self.name)).in_path(name);
        match nearest(name, known()) {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None if known().next().is_none() => found.help("it asks for nothing"),
            None => found.help(format!("it asks for {}", listing(known()))),
        }
    }

    /// What templates get: each answer under its name, completed with the defaults, and `component` with `name`, `version`,
    /// `config_type` and `settings`. `settings` describes the `config_schema`, secrets included: `name`, `type`, `description`,
    /// `required`, `secret`, `default`, `value`, and `answer` where one was given; a secret has neither of these two.
    ///
    /// # Errors
    /// As [`answers`](Component::answers).
    pub fn context(&self, given: &BTreeMap<String, JsonValue>) -> Result<serde_json::Map<String, JsonValue>> {
        let mut context: serde_json::Map<_, _> = self.answers(given)?.into_iter().collect();
        let described = |(name, setting): (&str, &Variable)| {
            let mut described = json!({
                "name": name,
                "type": setting.kind.as_str(),
                "description": setting.description,
                "required": setting.required,
                "secret": setting.secret,
                "default": setting.default,
            });
            if !setting.secret {
                described["value"] = context.get(name).cloned().unwrap_or_default();
                if let Some(answer) = given.get(name) {
                    described["answer"] = answer.clone();
                }
            }
            described
        };
        let settings: Vec<_> = self.config_schema.iter().map(described).collect();
        let component = json!({
            "name": self.name,
            "version": self.version.to_string(),
            "config_type": self.config_type(),
            "settings": settings,
        });
        context.insert("component".to_owned(), component);
        Ok(context)
    }

    /// What templates of a plugin get as `plugin`, beside what the component says of it: `type`, `name`, `id`, `module`,
    /// `struct_name`, `config_name`, `contract`, and `description`.
    pub fn plugin_context(&self, kind: &str, name: &str, id: &str) -> JsonValue {
        let none = PluginTemplates::default();
        let plugin = self.plugin.as_ref().unwrap_or(&none);
        let list = |lines: &[Line]| lines.iter().map(ConfigValue::write).collect::<Vec<_>>();
        let struct_name = case::upper_camel(id);
        // A vendor is described by its component; a plugin of one's own is not known here.
        let description = match self.kind {
            ComponentKind::Vendor => self.description.clone(),
            _ => format!("The plugin `{id}` of this project"),
        };
        json!({
            "type": kind,
            "name": name,
            "id": id,
            "module": case::snake(id),
            "config_name": format!("{struct_name}Config"),
            "struct_name": struct_name,
            "contract": case::upper_camel(kind),
            "description": description,
            "capabilities": list(&plugin.capabilities),
            "conflicts_with": list(&plugin.conflicts_with),
            "requires": list(&plugin.requires),
            "optional": list(&plugin.optional),
            "data_formats": list(&plugin.data_formats),
            "swap": plugin.swap,
            "account": plugin.account,
            "example": plugin.example,
            "shipped": plugin.shipped.as_ref().map(ConfigValue::write),
        })
    }

    /// What its own file says of it in `registry.json`.
    pub(super) fn entry(&self) -> JsonValue {
        let files: serde_json::Map<_, _> = self
            .recorded_files()
            .into_iter()
            .map(|(path, source)| (path.to_owned(), sha256(source.text().as_bytes()).into()))
            .collect();
        json!({
            "name": self.name,
            "aliases": self.aliases.iter().map(|alias| alias.as_str()).collect::<Vec<_>>(),
            "version": self.version.to_string(),
            "description": self.description,
            "type": self.kind.as_str(),
            "path": self.name,
            "sha256": self.sha256(),
            "compatibility": self.compatibility.iter().map(|(name, range)| (name.clone(), range.to_string())).collect::<BTreeMap<_, _>>(),
            "files": files,
        })
    }

    /// The files that a template's name stands for: one for each plugin type, where it says so.
    pub(super) fn names_of<'n>(&'n self, name: &'n TemplateName) -> Vec<String> {
        match name.contains(PLUGIN_TYPE) {
            true => self.generates_plugin_types.iter().map(|kind| name.replace(PLUGIN_TYPE, kind)).collect(),
            false => vec![name.to_string()],
        }
    }

    /// Every template that is rendered, with whether it is for a plugin.
    pub(super) fn all_templates(&self) -> impl Iterator<Item = (&Template, bool)> {
        let of_plugin = self.plugin.iter().flat_map(|plugin| &plugin.templates);
        self.templates.iter().map(|template| (template, false)).chain(of_plugin.map(|template| (template, true)))
    }

    /// Every edit, with whether it is for a plugin.
    pub(super) fn all_edits(&self) -> impl Iterator<Item = (&Edit, bool)> {
        let of_plugin = self.plugin.iter().flat_map(|plugin| &plugin.edits);
        self.edits.iter().map(|edit| (edit, false)).chain(of_plugin.map(|edit| (edit, true)))
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl ComponentFile {
    /// What no single value can say of itself.
    fn check(&self, folder: &str, cx: &mut Reader<'_>) {
        if self.name.as_str() != folder {
            let found =
                Diagnostic::error(Code::InvalidValue, format!("the component in `{folder}` is named `{}`", self.name));
            cx.report(
                found
                    .at(self.name.location())
                    .in_path("name")
                    .help(format!("name it `{folder}`, or rename the folder")),
            );
        }
        for (name, location) in self
            .variables
            .names()
            .map(|name| (name, self.variables.location(name)))
            .chain(self.config_schema.names().map(|name| (name, self.config_schema.location(name))))
        {
            let message = if AMBIENT.contains(&name) {
                format!("`{name}` is what every template has already")
            } else if !case::is_rust_identifier(&name.replace('-', "_"))
                && !case::is_rust_identifier(&format!("{name}_"))
            {
                format!("`{}` is no name of a variable", name.escape_debug())
            } else {
                continue;
            };
            let help = "a name is of small letters, digits and `_`, and begins with a letter";
            cx.report(Diagnostic::error(Code::InvalidValue, message).at(location).in_path("variables").help(help));
        }
        for name in self.variables.names().filter(|name| self.config_schema.get(name).is_some()) {
            let message = format!("`{name}` is a variable and a setting");
            cx.report(
                Diagnostic::error(Code::DuplicateKey, message)
                    .at(self.variables.location(name))
                    .related("the setting", self.config_schema.location(name))
                    .help("settings are given to templates too: remove the variable"),
            );
        }
        for (version, _) in self.changes.iter().filter(|(version, _)| version.parse::<Version>().is_err()) {
            let message = format!("`{}` is no semantic version", version.escape_debug());
            cx.report(
                Diagnostic::error(Code::InvalidValue, message)
                    .at(self.changes.location(version))
                    .help("write three numbers: `1.1.0`"),
            );
        }
        let cargos = std::iter::once(&self.cargo).chain(self.plugin.iter().map(|plugin| &plugin.cargo));
        for dependencies in cargos.flat_map(|cargo| [&cargo.dependencies, &cargo.dev_dependencies]) {
            for (name, dependency) in dependencies.iter() {
                let at = dependencies.location(name);
                if let Err((code, message, help)) = CargoName::check(name) {
                    cx.report(
                        Diagnostic::error(code, format!("`{}` {message}", name.escape_debug())).at(at).help(help),
                    );
                } else if dependency.version.is_none() && !name.starts_with("mlx-") {
                    let message = format!("`{name}` has no `version`");
                    cx.report(
                        Diagnostic::error(Code::MissingField, message)
                            .at(at)
                            .help("only the packages of MLX have none"),
                    );
                }
            }
        }
        if let Some(plugin) = &self.plugin
            && let Some(links) = &plugin.links
            && !plugin.cargo.dependencies.names().any(|name| name == links.as_str())
        {
            let message = format!("`{links}` is not among the packages of the plugin");
            let help = "add it to `cargo` below `plugin`";
            cx.report(Diagnostic::error(Code::UnmetDependency, message).at(links.location()).help(help));
        }
        if let Some(kind) = self.plugin.as_ref().and_then(|plugin| plugin.kind.as_ref())
            && !self.generates_plugin_types.iter().any(|known| known.as_str() == kind.as_str())
        {
            let message = format!("`{kind}` is not among `generates_plugin_types`");
            cx.report(Diagnostic::error(Code::UnknownVariant, message).at(kind.location()).help("add it there"));
        }
    }

    fn into_component(self, files: BTreeMap<String, Arc<Source>>, embedded: bool) -> Component {
        // What does not parse has been reported.
        let version = |text: &str| text.parse().unwrap_or(Version::new(0, 0, 0));
        let range = |text: &str| text.parse().unwrap_or(VersionReq::STAR);
        let dependency = |text: &DependencyText| {
            let (name, required) = split_dependency(text);
            Dependency {
                name: name.to_owned(),
                range: required.map_or(VersionReq::STAR, range),
                location: text.location().cloned(),
            }
        };
        Component {
            name: self.name.to_string(),
            aliases: self.aliases,
            version: version(&self.version),
            description: self.description.to_string(),
            kind: self.kind,
            compatibility: self.compatibility.iter().map(|(name, text)| (name.to_owned(), range(text))).collect(),
            dependencies: self.dependencies.iter().map(dependency).collect(),
            conflicts_with: self.conflicts_with,
            enhances: self.enhances,
            generates_plugin_types: self.generates_plugin_types,
            integration_points: self.integration_points,
            variables: self.variables,
            config_schema: self.config_schema,
            templates: self.templates,
            edits: self.edits,
            cargo: self.cargo,
            plugin: self.plugin,
            changes: self
                .changes
                .iter()
                .map(|(of, lines)| (version(of), lines.iter().map(ToString::to_string).collect()))
                .collect(),
            embedded,
            files,
            sha256: OnceLock::new(),
        }
    }
}

impl Template {
    /// Whether the file is added, with these answers.
    ///
    /// # Errors
    /// As [`render::evaluate`].
    pub fn applies(&self, context: &JsonValue) -> Result<bool> {
        applies(self.when.as_ref(), context)
    }

    /// Its text.
    ///
    /// # Errors
    /// As [`Component::template`].
    pub fn source<'c>(
        &self,
        component: &'c Component,
        catalogue: &'c Catalogue,
        context: &JsonValue,
    ) -> Result<&'c Arc<Source>> {
        component.template(catalogue, &named(&self.name, context))
    }

    /// The file of the project that it becomes.
    ///
    /// # Errors
    /// As [`render::target`].
    pub fn path(&self, context: &JsonValue) -> Result<String> {
        render::target(&self.target, context)
    }
}

impl Edit {
    /// Whether the entry is made, with these answers.
    ///
    /// # Errors
    /// As [`render::evaluate`].
    pub fn applies(&self, context: &JsonValue) -> Result<bool> {
        applies(self.when.as_ref(), context)
    }

    /// The file of the project that is edited.
    ///
    /// # Errors
    /// As [`render::target`].
    pub fn path(&self, context: &JsonValue) -> Result<String> {
        render::target(&self.file, context)
    }

    /// The entry of a component's edit.
    ///
    /// # Errors
    /// As [`render::render`], or where its template is not there.
    pub fn entry(&self, component: &Component, catalogue: &Catalogue, context: &JsonValue) -> Result<String> {
        match (&self.text, &self.template) {
            (Some(text), _) => render::inline(text, context),
            (None, Some(name)) => {
                Ok(render::render(component.template(catalogue, &named(name, context))?, context)?.text)
            }
            (None, None) => Ok(String::new()),
        }
    }
}

impl CargoDependency {
    /// Whether the package is needed, with these answers.
    ///
    /// # Errors
    /// As [`render::evaluate`].
    pub fn applies(&self, context: &JsonValue) -> Result<bool> {
        applies(self.when.as_ref(), context)
    }
}

/// The name of a template's file for a plugin.
fn named(name: &TemplateName, context: &JsonValue) -> String {
    name.replace(PLUGIN_TYPE, context["plugin"]["type"].as_str().unwrap_or_default())
}

fn applies(when: Option<&Expression>, context: &JsonValue) -> Result<bool> {
    when.map_or(Ok(true), |when| render::evaluate(when, context))
}
