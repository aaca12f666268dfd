//! `mlx.lock`: what components a project has, from what answers, and which files came of it.

use super::{ProjectPath, Sha256};
use crate::{generate::Extra, position::location};
use mlx_core::{
    Diagnostic, Error, JsonValue, Result,
    diagnostics::{Code, Source},
};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The version of the format.
const VERSION: u32 = 1;

const HEADER: &str = "# Written by `mlx`; belongs into version control. Do not edit.\n";

/// What `mlx.lock` says. Its text is a function of its content: the same project gives the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The version of the format.
    version: u32,
    /// The version of `mlx` that wrote it.
    pub mlx: String,
    /// The project.
    pub project: ProjectInfo,
    /// The components, by name and instance.
    #[serde(rename = "component", default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Installed>,
}

/// The project as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectInfo {
    /// Its name, in kebab-case.
    pub name: String,
    /// Where the mlx crates come from.
    pub mlx_source: MlxSource,
    /// The crates that were declared in `[workspace.dependencies]` for components, each with the hash of its line.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub declared: BTreeMap<String, Sha256>,
}

/// Where a project's mlx crates come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MlxSource {
    /// A checkout on this machine.
    #[default]
    Path,
    /// The git repository.
    Git,
    /// The package registry.
    Registry,
}

impl FromStr for MlxSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "path" => Ok(MlxSource::Path),
            "git" => Ok(MlxSource::Git),
            "registry" => Ok(MlxSource::Registry),
            _ => Err(Error::invalid("the source of the mlx crates is `path`, `git` or `registry`")),
        }
    }
}

impl fmt::Display for MlxSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MlxSource::Path => "path",
            MlxSource::Git => "git",
            MlxSource::Registry => "registry",
        })
    }
}

/// A component in a project, or one plugin instance made by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// The component's name in the catalogue.
    pub component: String,
    /// The version that the files are of.
    pub version: Version,
    /// The hash of the component's sources.
    pub sha256: String,
    /// The plugin that was made, `ml_platform/databricks`; `None` for the component itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The plugin's module; `None` for a component itself, and for a plugin that is linked as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Whether it was asked for; otherwise another component needs it.
    pub requested: bool,
    /// The local catalogue that it came from; `None` for the one that is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<String>,
    /// What the project had when the files were rendered: templates can ask for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// The crates that were added to `Cargo.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// The plugins, as `type/name`: in `plugins.json`, but for those that are linked as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<String>,
    /// The answers. None of them is secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, JsonValue>,
    /// What the plugin's entry in the composition has beside what its template says.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
    /// The files it owns.
    #[serde(rename = "file", default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<LockedFile>,
    /// What it put into regions of other files.
    #[serde(rename = "edit", default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<LockedEdit>,
}

/// A file that came from a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// Where it is.
    pub path: ProjectPath,
    /// Where the template puts it, if the user moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ProjectPath>,
    /// The template's name within the component, or `component:template`.
    pub template: String,
    /// The version of the component that it is of: a file whose update was put off keeps its own.
    pub version: Version,
    /// The hash of the render as it came from the template.
    pub rendered: Sha256,
    /// The hash of the render after formatting, which is kept in `.mlx/base`.
    pub base: Sha256,
}

/// An entry in a region of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedEdit {
    /// The file.
    pub file: ProjectPath,
    /// The region's name.
    pub region: String,
    /// The entry as it was rendered.
    pub text: String,
}

impl Lock {
    /// A lock without components.
    pub fn new(name: impl Into<String>, mlx_source: MlxSource) -> Self {
        Lock {
            version: VERSION,
            mlx: env!("CARGO_PKG_VERSION").to_owned(),
            project: ProjectInfo { name: name.into(), mlx_source, declared: BTreeMap::new() },
            components: Vec::new(),
        }
    }

    /// Reads the text of `mlx.lock`.
    ///
    /// # Errors
    /// [`Code::BadLock`], with the position of the first mistake.
    pub fn parse(text: &str) -> Result<Self> {
        let source = Source::new(super::LOCK_FILE, text);
        let fault =
            |message: String| Diagnostic::error(Code::BadLock, message).help("restore `mlx.lock` from version control");
        let error = |fault: Diagnostic| Error::from_diagnostics(super::LOCK_FILE, vec![fault]);
        let malformed = |e: toml_edit::de::Error| {
            let place = e.span().map(|span| location(&source, span));
            error(fault(crate::position::one_line(e.message())).at(place.as_ref()))
        };
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let read = toml_edit::de::from_str::<Lock>(text);
        // A later version may have what this one does not know.
        let version = match &read {
            Ok(lock) => Some(lock.version),
            Err(_) => toml_edit::de::from_str::<Version>(text).ok().map(|found| found.version),
        };
        if let Some(version) = version.filter(|version| *version > VERSION) {
            let message = format!("the lock has version {version}, this `mlx` knows {VERSION}");
            return Err(error(Diagnostic::error(Code::BadLock, message).help("install a newer `mlx`")));
        }
        if let (Err(_), Some(found)) = (&read, crate::merge::conflict_of_git(super::LOCK_FILE, text.as_bytes())) {
            return Err(error(found.help("`mlx.lock` has one part for each component: keep those of both sides")));
        }
        let lock = read.map_err(malformed)?;
        match lock.contradiction() {
            Some(message) => Err(error(fault(message))),
            None => Ok(lock),
        }
    }

    fn contradiction(&self) -> Option<String> {
        let mut seen = std::collections::BTreeSet::new();
        for installed in &self.components {
            if !seen.insert(installed.id()) {
                return Some(format!("`{}` appears twice", installed.id()));
            }
        }
        let mut owners = BTreeMap::new();
        for installed in &self.components {
            for file in &installed.files {
                if let Some(other) = owners.insert(file.path.folded(), installed.id()) {
                    return Some(format!("`{}` belongs to `{other}` and to `{}`", file.path, installed.id()));
                }
            }
        }
        None
    }

    /// The text of `mlx.lock`: sorted, so that it depends on nothing but the content.
    ///
    /// # Errors
    /// [`Code::BadAnswer`] for an answer that TOML cannot hold: null, or a whole number beyond 64 bits.
    pub fn to_text(&self) -> Result<String> {
        let mut sorted = self.clone();
        sorted.components.sort_by(|a, b| (&a.component, &a.instance).cmp(&(&b.component, &b.instance)));
        for installed in &mut sorted.components {
            for list in [&mut installed.components, &mut installed.dependencies, &mut installed.plugins] {
                list.sort();
                list.dedup();
            }
            installed.files.sort_by(|a, b| a.path.cmp(&b.path));
        }
        let text = toml_edit::ser::to_string_pretty(&sorted).map_err(|e| {
            let message = format!("an answer cannot be kept in `mlx.lock`: {e}");
            Error::from_diagnostics("the request", vec![Diagnostic::error(Code::BadAnswer, message)])
        })?;
        Ok(format!("{HEADER}{text}"))
    }

    /// The component itself, or the plugin `type/name`, if the project has it.
    pub fn find(&self, component: &str, instance: Option<&str>) -> Option<&Installed> {
        self.components.iter().find(|i| i.component == component && i.instance.as_deref() == instance)
    }

    /// The component that made the plugin `type/name`.
    pub fn instance(&self, instance: &str) -> Option<&Installed> {
        self.components.iter().find(|i| i.instance.as_deref() == Some(instance))
    }

    /// The names of the components, sorted, each once.
    pub fn component_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.components.iter().map(|i| i.component.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Who owns the file, and its entry.
    pub fn owner(&self, path: &ProjectPath) -> Option<(&Installed, &LockedFile)> {
        self.components.iter().find_map(|i| i.files.iter().find(|file| file.path == *path).map(|file| (i, file)))
    }

    /// Where a file is that a template puts there: somewhere else if the user moved it.
    pub fn place(&self, target: &ProjectPath) -> ProjectPath {
        let mut files = self.components.iter().flat_map(|i| &i.files);
        files.find(|file| file.target() == target).map_or_else(|| target.clone(), |file| file.path.clone())
    }

    /// Puts `installed` in the place of the entry with the same component and instance, or at the end.
    pub fn put(&mut self, installed: Installed) {
        match self.components.iter_mut().find(|i| i.id() == installed.id()) {
            Some(place) => *place = installed,
            None => self.components.push(installed),
        }
    }

    /// Remembers the line that declares a crate in `[workspace.dependencies]` now, unless what stood there `before` is the user's.
    pub(crate) fn declare(&mut self, name: &str, before: Option<&str>, now: Option<&str>) {
        let is_ours = before.is_none_or(|line| self.has_declared(name, line));
        if let Some(line) = now.filter(|_| is_ours && before != now) {
            self.project.declared.insert(name.to_owned(), Sha256::of(line));
        }
    }

    /// Whether the line that declares a crate in `[workspace.dependencies]` is as it was written for components.
    pub(crate) fn has_declared(&self, name: &str, line: &str) -> bool {
        self.project.declared.get(name) == Some(&Sha256::of(line))
    }

    /// The pristine renders that are needed.
    pub fn bases(&self) -> impl Iterator<Item = Sha256> {
        self.components.iter().flat_map(|i| &i.files).map(|file| file.base)
    }
}

impl LockedFile {
    /// Where the template puts it.
    pub fn target(&self) -> &ProjectPath {
        self.target.as_ref().unwrap_or(&self.path)
    }
}

impl Installed {
    /// A component of this version that has nothing yet.
    pub fn new(component: impl Into<String>, version: Version) -> Self {
        Installed {
            component: component.into(),
            version,
            sha256: String::new(),
            instance: None,
            module: None,
            requested: false,
            catalogue: None,
            components: Vec::new(),
            dependencies: Vec::new(),
            plugins: Vec::new(),
            answers: BTreeMap::new(),
            extra: Extra::default(),
            files: Vec::new(),
            edits: Vec::new(),
        }
    }

    /// What tells it from all others: `data-sources/snowflake`, or `plugin-registry (ml_platform/databricks)`.
    pub fn id(&self) -> String {
        match &self.instance {
            None => self.component.clone(),
            Some(instance) => format!("{} ({instance})", self.component),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::json;

    fn installed(component: &str, path: &str) -> Installed {
        Installed {
            sha256: "ab".to_owned(),
            requested: true,
            components: vec!["b".to_owned(), "a".to_owned()],
            dependencies: vec!["axum".to_owned()],
            answers: BTreeMap::from([
                ("port".to_owned(), json!(8000)),
                ("tags".to_owned(), json!(["a", "b"])),
                ("ratio".to_owned(), json!(0.5)),
            ]),
            files: vec![LockedFile {
                path: ProjectPath::new(path).unwrap(),
                target: None,
                template: "app.rs.template".to_owned(),
                version: Version::new(1, 2, 3),
                rendered: Sha256::of("x"),
                base: Sha256::of("y"),
            }],
            edits: vec![LockedEdit {
                file: ProjectPath::new("platform.yaml").unwrap(),
                region: "plugins".to_owned(),
                text: "- type: \"x\"\n  name: 'y'\n".to_owned(),
            }],
            ..Installed::new(component, Version::new(1, 2, 3))
        }
    }

    #[test]
    fn the_text_is_read_back_and_does_not_depend_on_the_order() {
        let mut lock = Lock::new("shop", MlxSource::Git);
        lock.put(installed("b", "b.rs"));
        lock.put(installed("a", "a.rs"));
        let text = lock.to_text().unwrap();
        let read = Lock::parse(&text).unwrap();
        assert_eq!(read.to_text().unwrap(), text);
        assert_eq!(read.components.iter().map(|c| &c.component).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(read.find("a", None).unwrap().answers["port"], json!(8000));
        assert_eq!(read.find("a", None).unwrap().edits, lock.find("a", None).unwrap().edits);
        lock.components.reverse();
        assert_eq!(lock.to_text().unwrap(), text);
    }

    #[test]
    fn a_component_is_replaced_by_a_newer_one() {
        let mut lock = Lock::new("shop", MlxSource::Path);
        lock.put(installed("a", "a.rs"));
        lock.put(Installed { version: Version::new(2, 0, 0), ..installed("a", "a.rs") });
        assert_eq!(lock.components.len(), 1);
        assert_eq!(lock.owner(&ProjectPath::new("a.rs").unwrap()).unwrap().0.version, Version::new(2, 0, 0));
    }

    #[test]
    fn a_damaged_lock_is_refused_with_its_position() {
        let mut lock = Lock::new("shop", MlxSource::Path);
        lock.put(installed("a", "a.rs"));
        let good = lock.to_text().unwrap();
        for (text, expected) in [
            ("version = ".to_owned(), "mlx.lock:1"),
            (String::new(), "version"),
            (good.replace("version = 1\n", "version = 9\n"), "has version 9"),
            (good.replace("requested", "reqested"), "reqested"),
            (good.replace("path = \"a.rs\"", "path = \"../a.rs\""), "`../a.rs` leaves the folder"),
            (good.replace("rendered = \"", "rendered = \"zz"), "hexadecimal"),
        ] {
            let error = Lock::parse(&text).expect_err(expected);
            assert_eq!(error.diagnostics()[0].code, Code::BadLock);
            assert!(format!("{error:?}").contains(expected), "{error:?}");
        }
        lock.components.push(installed("b", "A.rs"));
        assert!(Lock::parse(&lock.to_text().unwrap()).is_err(), "two owners of one file");
        lock.components.push(installed("a", "c.rs"));
        assert!(Lock::parse(&lock.to_text().unwrap()).is_err(), "one component twice");
    }

    #[test]
    fn an_answer_that_toml_cannot_hold_is_an_error() {
        let mut lock = Lock::new("shop", MlxSource::Path);
        let mut component = installed("a", "a.rs");
        component.answers.insert("none".to_owned(), json!(u64::MAX));
        lock.put(component);
        assert_eq!(lock.to_text().unwrap_err().diagnostics()[0].code, Code::BadAnswer);
    }
}
