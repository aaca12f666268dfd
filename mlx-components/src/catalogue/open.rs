//! Reading a catalogue from a folder that nobody vouches for.
//!
//! Nothing outside the folder is read: each name on the way is looked at before it is followed, and a symbolic link is refused
//! wherever it leads. All of it is read once, within limits.

use super::{
    Catalogue, Component,
    component::{AMBIENT, FILE, sha256},
    path, render,
    text::{ComponentName, without_expressions},
};
use mlx_core::{
    Diagnostic, Error, PluginConfig, Result,
    config::{ConfigValue, Located, Reader},
    diagnostics::{Code, Source, listing, nearest, quoted},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

/// A file of a catalogue may have this many bytes.
const MAX_FILE: u64 = 1 << 20;

/// A catalogue may have this many files and folders.
const MAX_ENTRIES: usize = 10_000;

/// The files of a catalogue together may have this many bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Folders may nest this deep in a component.
const MAX_DEPTH: usize = 12;

impl Catalogue {
    /// Reads a catalogue from a folder: each component in the folder that it is named by, and `registry.json` if there is one, whose
    /// sums the files then must have. What a component depends on may also be one of the [embedded](Catalogue::embedded).
    ///
    /// # Errors
    /// [`Invalid`](mlx_core::ErrorKind::Invalid), with everything that is wrong: the codes MLX0130 to MLX0139, and those for reading
    /// files and values.
    pub fn open(folder: &Path) -> Result<Catalogue> {
        read(folder, true)
    }

    /// Reads a catalogue whose `registry.json` is to be written anew, and does not look at it.
    ///
    /// # Errors
    /// As [`open`](Catalogue::open).
    pub fn open_unrecorded(folder: &Path) -> Result<Catalogue> {
        read(folder, false)
    }
}

fn read(folder: &Path, recorded: bool) -> Result<Catalogue> {
    let mut walk = Walk { entries: 0, bytes: 0, found: Vec::new() };
    let mut components = Vec::new();
    if walk.is_folder(folder) {
        for (name, files) in walk.components(folder) {
            match Component::read(&name, files, false) {
                Ok(component) => components.push(component),
                Err(found) => walk.found.extend(found),
            }
        }
        if components.is_empty() && walk.found.is_empty() {
            let message = format!("`{}` holds no component", folder.display());
            let help = "a component is a folder with a `component.json`, in the catalogue or in a section of it";
            walk.found.push(Diagnostic::error(Code::Unreadable, message).help(help));
        }
    }
    let registry = if recorded { walk.registry(folder) } else { None };
    let mut found = walk.found;
    found.extend(duplicates(&components));
    let catalogue = Catalogue::of(components);
    if let Some(registry) = registry {
        registry.compare(&catalogue, &mut found);
    }
    found.extend(catalogue.problems());
    if found.iter().any(Diagnostic::is_error) {
        return Err(Error::from_diagnostics(format_args!("the catalogue `{}`", folder.display()), found));
    }
    Ok(catalogue)
}

/// The files of a component by their paths in its folder.
type Files = BTreeMap<String, Arc<Source>>;

/// A walk through a catalogue, and what was refused on the way.
struct Walk {
    entries: usize,
    bytes: u64,
    found: Vec<Diagnostic>,
}

/// What a name in a folder stands for.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    File,
    Folder,
}

impl Walk {
    fn refuse(&mut self, code: Code, message: String, help: &str) {
        self.found.push(Diagnostic::error(code, message).help(help));
    }

    /// Whether there is more to read.
    fn is_full(&self) -> bool {
        self.entries > MAX_ENTRIES || self.bytes > MAX_BYTES
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        let message = format!("cannot read `{}`: {error}", path.display());
        self.refuse(Code::Unreadable, message, "check the path and the permissions");
    }

    fn is_folder(&mut self, path: &Path) -> bool {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => true,
            Ok(metadata) if metadata.is_symlink() => {
                let message = format!("`{}` is a symbolic link", path.display());
                self.refuse(Code::SpecialFile, message, "name the folder that it leads to");
                false
            }
            Ok(_) => {
                let message = format!("`{}` is no folder", path.display());
                self.refuse(Code::SpecialFile, message, "name the folder that holds the components");
                false
            }
            Err(error) => {
                self.unreadable(path, &error);
                false
            }
        }
    }

    /// The names in a folder, sorted. What is neither a file nor a folder is refused.
    fn names(&mut self, path: &Path) -> Vec<(String, Kind)> {
        let mut names = Vec::new();
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                self.unreadable(path, &error);
                return names;
            }
        };
        for entry in entries {
            if self.is_full() {
                break;
            }
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                let message = format!("the catalogue has more than {MAX_ENTRIES} files and folders");
                self.refuse(Code::TooLarge, message, "name the folder that holds the components, and nothing else");
                break;
            }
            let entry = match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok(entry) => entry,
                Err(error) => {
                    self.unreadable(path, &error);
                    continue;
                }
            };
            let (kind, entry) = entry;
            let at = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                let message = format!("the name `{}` is not Unicode", at.display());
                self.refuse(Code::CataloguePath, message, "rename it");
                continue;
            };
            // What version control and editors keep is not the catalogue's.
            let kind = match kind {
                kind if kind.is_file() => Kind::File,
                kind if kind.is_dir() => Kind::Folder,
                kind => {
                    let what = if kind.is_symlink() { "a symbolic link" } else { "neither a file nor a folder" };
                    let message = format!("`{}` is {what}", at.display());
                    self.refuse(
                        Code::SpecialFile,
                        message,
                        "a catalogue has files and folders alone: put the file itself there",
                    );
                    continue;
                }
            };
            names.push((name, kind));
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        names
    }

    /// The folders of components, and their files.
    fn components(&mut self, root: &Path) -> Vec<(String, Files)> {
        let mut components = Vec::new();
        let sections = self.names(root);
        for (section, _) in sections.into_iter().filter(|(name, kind)| *kind == Kind::Folder && !name.starts_with('.'))
        {
            let folder = root.join(&section);
            let names = self.names(&folder);
            let mut variants = Vec::new();
            for (name, _) in names.iter().filter(|(name, kind)| *kind == Kind::Folder && !name.starts_with('.')) {
                if fs::symlink_metadata(folder.join(name).join(FILE)).is_ok() {
                    variants.push(name.clone());
                }
            }
            if names.iter().any(|(name, _)| name == FILE) {
                components.extend(self.component(root, &section, names));
            }
            for variant in variants {
                let names = self.names(&folder.join(&variant));
                components.extend(self.component(root, &format!("{section}/{variant}"), names));
            }
        }
        components
    }

    /// The files of a component in the folder of this name.
    fn component(&mut self, root: &Path, name: &str, names: Vec<(String, Kind)>) -> Option<(String, Files)> {
        if let Err((code, message, help)) = ComponentName::check(name) {
            let message = format!("the folder {} {message}", quoted(&name.escape_debug().to_string()));
            self.found.push(Diagnostic::error(code, message).help(help));
            return None;
        }
        let folder = root.join(name);
        let mut files = Files::new();
        for (entry, kind) in names {
            match (entry.as_str(), kind) {
                (FILE | "README.md", Kind::File) => self.file(&folder, &entry, &mut files),
                ("templates" | "samples", Kind::Folder) => self.folder(&folder, &entry, 1, &mut files),
                // Variants, and what is no part of the component.
                _ => {}
            }
        }
        // What cannot be read has been refused.
        files.contains_key(FILE).then(|| (name.to_owned(), files))
    }

    fn folder(&mut self, folder: &Path, path: &str, depth: usize, files: &mut Files) {
        if depth > MAX_DEPTH {
            let message = format!("the folders of `{}` nest deeper than {MAX_DEPTH} levels", folder.display());
            self.refuse(Code::TooLarge, message, "use fewer levels");
            return;
        }
        let mut folded: HashMap<String, String> = HashMap::new();
        for (name, kind) in self.names(&folder.join(path)) {
            if self.is_full() {
                return;
            }
            let below = format!("{path}/{name}");
            if let Err(reason) = path::check(&below) {
                let message = format!("the path `{}` in `{}` {reason}", below.escape_debug(), folder.display());
                self.refuse(Code::CataloguePath, message, "rename it");
                continue;
            }
            if let Some(other) = folded.insert(path::folded(&name), name.clone()) {
                let message =
                    format!("`{other}` and `{name}` in `{}` are one file on some systems", folder.join(path).display());
                self.refuse(Code::CataloguePath, message, "rename one of them");
                continue;
            }
            match kind {
                Kind::Folder => self.folder(folder, &below, depth + 1, files),
                Kind::File => self.file(folder, &below, files),
            }
        }
    }

    fn file(&mut self, folder: &Path, path: &str, files: &mut Files) {
        if let Some(text) = self.text(&folder.join(path)) {
            let name = folder.join(path).display().to_string();
            files.insert(path.to_owned(), Source::new(name, text));
        }
    }

    /// The text of a file that [`names`](Self::names) has found to be one.
    fn text(&mut self, path: &Path) -> Option<String> {
        if self.is_full() {
            return None;
        }
        // Most templates are read at once.
        let mut bytes = Vec::with_capacity(4 << 10);
        let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            self.unreadable(path, &error);
            return None;
        }
        let length = bytes.len() as u64;
        if length > MAX_FILE {
            let message = format!("`{}` is larger than {} KiB", path.display(), MAX_FILE >> 10);
            self.refuse(Code::TooLarge, message, "a template is text that somebody reads: split it");
            return None;
        }
        self.bytes += length;
        if self.bytes > MAX_BYTES {
            let message = format!("the files of the catalogue have more than {} MiB", MAX_BYTES >> 20);
            self.refuse(Code::TooLarge, message, "split the catalogue");
            return None;
        }
        String::from_utf8(bytes)
            .inspect_err(|error| {
                let at = error.utf8_error().valid_up_to();
                let message = format!("`{}` is not UTF-8: byte {at} begins no character", path.display());
                self.refuse(Code::Unreadable, message, "a catalogue has text alone: save it as UTF-8");
            })
            .ok()
    }

    fn registry(&mut self, root: &Path) -> Option<Registry> {
        let path = root.join("registry.json");
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {}
            // A link has been refused with the other names.
            _ => return None,
        }
        let source = Source::new(path.display().to_string(), self.text(&path)?);
        let read = mlx_core::value::json::parse(&source).and_then(|node| {
            let mut cx = Reader::literal();
            let registry = Registry::read(&node, &mut cx);
            cx.finish(registry)
        });
        read.map_err(|found| self.found.extend(found)).ok()
    }
}

/// The index of a catalogue.
#[derive(PluginConfig)]
pub(super) struct Registry {
    /// The JSON Schema of the file, for editors.
    #[config(rename = "$schema")]
    _schema: Option<String>,
    /// The version of this format.
    #[config(rename = "version", range(1..=1))]
    _version: u32,
    /// The components, in the order of their names.
    components: Vec<Entry>,
}

/// A component in the index.
#[derive(PluginConfig)]
struct Entry {
    /// Its name.
    name: Located<String>,
    /// Other names that it is found by.
    #[config(rename = "aliases", default)]
    _aliases: Vec<String>,
    /// Its version.
    version: Located<String>,
    /// What it is, in one sentence.
    #[config(rename = "description")]
    _description: String,
    /// What kind of component it is.
    #[config(rename = "type")]
    _kind: super::ComponentKind,
    /// Its folder, relative to the index.
    path: Located<String>,
    /// SHA-256, in hexadecimal digits, over a line for each of its files: the sum, two spaces, the path.
    #[config(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
    /// The versions of the packages of MLX that it works with.
    #[config(rename = "compatibility", default)]
    _compatibility: BTreeMap<String, String>,
    /// SHA-256 of each of its files, in hexadecimal digits, by path.
    files: BTreeMap<String, Located<String>>,
}

const STALE: &str = "if the change was meant, record it: `mlx catalog check DIR --write`";

impl Registry {
    /// Reports where the files are not those that the index records.
    fn compare(&self, catalogue: &Catalogue, found: &mut Vec<Diagnostic>) {
        let mut refuse = |message: String, entry: Option<&Located<String>>| {
            let location = entry.and_then(|entry| entry.location.as_ref());
            found.push(Diagnostic::error(Code::ContentMismatch, message).at(location).help(STALE));
        };
        let mut seen = BTreeSet::new();
        let mut twice = Vec::new();
        for entry in &self.components {
            let name = &*entry.name.value;
            if !seen.insert(name) {
                twice.push(&entry.name);
                continue;
            }
            let Some(component) = catalogue.named(name) else {
                refuse(
                    format!("there is no component {}", quoted(&name.escape_debug().to_string())),
                    Some(&entry.name),
                );
                continue;
            };
            if entry.path.value != name {
                refuse(
                    format!("`{name}` lies in `{name}`, not in {}", quoted(&entry.path.escape_debug().to_string())),
                    Some(&entry.path),
                );
            }
            if entry.version.value != component.version.to_string() {
                refuse(format!("`{name}` is of version {}", component.version), Some(&entry.version));
            }
            let recorded = component.recorded_files();
            let mut same = true;
            for (path, source) in &recorded {
                match entry.files.get(*path) {
                    Some(sum) if sum.value == sha256(source.text().as_bytes()) => {}
                    Some(sum) => {
                        same = false;
                        refuse(format!("`{name}/{path}` was changed or cut short: its sum is another"), Some(sum));
                    }
                    None => {
                        same = false;
                        refuse(format!("`{name}/{path}` is not recorded"), Some(&entry.name));
                    }
                }
            }
            for (path, sum) in entry.files.iter().filter(|(path, _)| !recorded.iter().any(|(known, _)| known == path)) {
                same = false;
                refuse(format!("`{name}` has no file `{}`", path.escape_debug()), Some(sum));
            }
            if same && entry.sha256 != component.sha256() {
                refuse(format!("the sum of `{name}` is not that of its files"), Some(&entry.name));
            }
        }
        for component in catalogue.components().filter(|component| !seen.contains(&*component.name)) {
            refuse(format!("`{}` is not recorded", component.name), None);
        }
        for name in twice {
            let message = format!("`{}` is listed twice", name.escape_debug());
            found.push(
                Diagnostic::error(Code::DuplicateComponent, message)
                    .at(name.location.as_ref())
                    .help("remove one of the two"),
            );
        }
    }
}

/// Names and aliases that mean two components.
fn duplicates(components: &[Component]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut owners: BTreeMap<&str, &Component> =
        components.iter().map(|component| (component.name.as_str(), component)).collect();
    for component in components {
        for alias in &component.aliases {
            if let Some(other) = owners.insert(alias.as_str(), component) {
                let message = match other.name == alias.as_str() {
                    true => format!("`{alias}` is the name of a component, and an alias of `{}`", component.name),
                    false => format!("`{alias}` is an alias of `{}` and of `{}`", other.name, component.name),
                };
                found.push(
                    Diagnostic::error(Code::DuplicateComponent, message).at(alias.location()).help("remove the alias"),
                );
            }
        }
    }
    found
}

impl Catalogue {
    /// What no component can say of itself: dependencies, and templates against what they are given.
    pub(super) fn problems(&self) -> Vec<Diagnostic> {
        let whole = match Catalogue::embedded() {
            Ok(embedded) => embedded.overlaid(self.clone()),
            Err(_) => self.clone(),
        };
        let mut found = Vec::new();
        for component in self.components() {
            whole.check_dependencies(component, &mut found);
            whole.check_templates(component, &mut found);
            check_targets(component, &mut found);
        }
        found.extend(whole.circles(self.components.keys()));
        found
    }

    fn check_dependencies(&self, component: &Component, found: &mut Vec<Diagnostic>) {
        for dependency in &component.dependencies {
            let Some(other) = self.named(&dependency.name) else {
                let message = format!("`{}` depends on `{}`, which there is not", component.name, dependency.name);
                let refused = Diagnostic::error(Code::UnmetDependency, message).at(dependency.location.as_ref());
                let known = || self.components.keys().map(String::as_str);
                found.push(match (self.aliases.get(&dependency.name), nearest(&dependency.name, known())) {
                    (Some(name), _) => refused.help(format!("write `{name}`: `{}` is an alias", dependency.name)),
                    (None, Some(near)) => refused.help(format!("did you mean `{near}`?")),
                    (None, None) => refused.help(format!("the components are {}", listing(known()))),
                });
                continue;
            };
            if !dependency.range.matches(&other.version) {
                let message = format!(
                    "`{}` depends on `{}` {}, and there is {}",
                    component.name, other.name, dependency.range, other.version
                );
                found.push(
                    Diagnostic::error(Code::UnmetDependency, message)
                        .at(dependency.location.as_ref())
                        .help("widen the requirement, or take the version that it names"),
                );
            }
        }
    }

    /// Components that depend on each other in a circle, among these and what they depend on. Each circle is reported once.
    fn circles<'n>(&self, of: impl Iterator<Item = &'n String>) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut open: BTreeMap<&str, Vec<&super::Dependency>> = BTreeMap::new();
        // Components that nothing here depends on are not even read.
        let mut reached: Vec<&Component> = of.filter_map(|name| self.named(name)).collect();
        while let Some(component) = reached.pop() {
            if !open.contains_key(component.name.as_str()) {
                let known: Vec<_> = component
                    .dependencies
                    .iter()
                    .filter(|dependency| self.components.contains_key(&dependency.name))
                    .collect();
                reached.extend(known.iter().filter_map(|dependency| self.named(&dependency.name)));
                open.insert(&component.name, known);
            }
        }
        // How many of a component's dependencies are not done, and who waits for it.
        let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, dependencies) in &open {
            dependencies.iter().for_each(|dependency| waiting.entry(&dependency.name).or_default().push(name));
        }
        let mut missing: BTreeMap<&str, usize> =
            open.iter().map(|(name, dependencies)| (*name, dependencies.len())).collect();
        let mut done: Vec<&str> = missing.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
        loop {
            while let Some(name) = done.pop() {
                open.remove(name);
                for waiter in waiting.get(name).into_iter().flatten() {
                    if let Some(count) = missing.get_mut(waiter).filter(|count| **count > 0) {
                        *count -= 1;
                        if *count == 0 && open.contains_key(waiter) {
                            done.push(waiter);
                        }
                    }
                }
            }
            let Some(start) = open.keys().next().copied() else { return found };
            // Everything that is left waits for something that is left.
            let mut way: Vec<&str> = Vec::new();
            let mut name = start;
            while !way.contains(&name) {
                way.push(name);
                let next =
                    open.get(name).and_then(|left| left.iter().find(|next| open.contains_key(next.name.as_str())));
                name = next.map_or(name, |next| next.name.as_str());
            }
            let circle = way.split_off(way.iter().position(|known| *known == name).unwrap_or_default());
            let closing =
                open.get(circle[circle.len() - 1]).and_then(|left| left.iter().find(|next| next.name == name));
            let message = format!(
                "components depend on each other in a circle: {} → `{name}`",
                circle.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" → ")
            );
            found.push(
                Diagnostic::error(Code::UnmetDependency, message)
                    .at(closing.and_then(|closing| closing.location.as_ref()))
                    .help("move what both need into a component of its own"),
            );
            done.extend(circle);
        }
    }

    fn check_templates(&self, component: &Component, found: &mut Vec<Diagnostic>) {
        let questions: BTreeSet<&str> = component.questions().map(|(name, _)| name).collect();
        for (template, of_plugin) in component.all_templates() {
            let mut given: BTreeSet<&str> = ambient(of_plugin);
            for name in &template.variables {
                if questions.contains(name.as_str()) {
                    given.insert(name);
                } else {
                    found.push(undeclared(component, name, of_plugin).at(template.name.location()));
                }
            }
            self.check_sources(component, &template.name, &given, of_plugin, found);
            let mut all = ambient(of_plugin);
            all.extend(&questions);
            let target = Source::new("target", template.target.as_str());
            let used = render::undeclared(&target).unwrap_or_default();
            let missing = used.iter().filter(|name| !all.contains(name.as_str()));
            found.extend(missing.map(|name| undeclared(component, name, of_plugin).at(template.target.location())));
            if let Some(when) = &template.when {
                let used = render::undeclared_in_expression(when);
                let missing = used.iter().filter(|name| !all.contains(name.as_str()));
                found.extend(missing.map(|name| undeclared(component, name, of_plugin).at(when.location())));
            }
        }
        for (edit, of_plugin) in component.all_edits() {
            let mut all = ambient(of_plugin);
            all.extend(&questions);
            if let Some(name) = &edit.template {
                self.check_sources(component, name, &all, of_plugin, found);
            }
            let texts = [
                Some((edit.file.as_str(), edit.file.location())),
                edit.text.as_ref().map(|text| (text.as_str(), text.location())),
            ];
            for (text, location) in texts.into_iter().flatten() {
                let used = render::undeclared(&Source::new("text", text)).unwrap_or_default();
                let missing = used.iter().filter(|name| !all.contains(name.as_str()));
                found.extend(missing.map(|name| undeclared(component, name, of_plugin).at(location)));
            }
            if let Some(when) = &edit.when {
                let used = render::undeclared_in_expression(when);
                let missing = used.iter().filter(|name| !all.contains(name.as_str()));
                found.extend(missing.map(|name| undeclared(component, name, of_plugin).at(when.location())));
            }
        }
    }
}

impl Catalogue {
    /// Checks the files that a template's name stands for.
    fn check_sources(
        &self,
        component: &Component,
        name: &super::TemplateName,
        given: &BTreeSet<&str>,
        of_plugin: bool,
        found: &mut Vec<Diagnostic>,
    ) {
        for file in component.names_of(name) {
            match component.template(self, &file) {
                Ok(source) => check_source(component, source, given, of_plugin, found),
                Err(error) => found.extend(error.diagnostics().iter().cloned().map(|found| found.at(name.location()))),
            }
        }
    }
}

/// The names that every template has.
fn ambient(of_plugin: bool) -> BTreeSet<&'static str> {
    AMBIENT.into_iter().filter(|name| of_plugin || *name != "plugin").collect()
}

fn check_source(
    component: &Component,
    source: &Arc<Source>,
    given: &BTreeSet<&str>,
    of_plugin: bool,
    found: &mut Vec<Diagnostic>,
) {
    match render::undeclared(source) {
        Ok(used) => {
            let missing = used.iter().filter(|name| !given.contains(name.as_str()));
            found.extend(
                missing.map(|name| undeclared(component, name, of_plugin).at(render::first_use(source, name).as_ref())),
            );
        }
        Err(error) => found.extend(error.diagnostics().iter().cloned()),
    }
}

/// What to say of a name that a template uses and is not given.
fn undeclared(component: &Component, name: &str, of_plugin: bool) -> Diagnostic {
    let found = |message: String| Diagnostic::error(Code::UndeclaredVariable, message);
    match component.variable(name) {
        Some(variable) if variable.secret => {
            found(format!("`{name}` is a secret of `{}`, which no template is given", component.name)).help(format!(
                "write a reference to an environment variable: `${{env:{}}}`",
                super::case::snake(name).to_uppercase()
            ))
        }
        Some(_) => found(format!("the template uses `{name}` without declaring it"))
            .help(format!("add `{name}` to its `variables`")),
        None if name == "plugin" && !of_plugin => {
            found("`plugin` is for what stands below `plugin` in `component.json`".to_owned())
                .help("move the template there")
        }
        None => {
            let known = || component.questions().map(|(name, _)| name).chain(AMBIENT);
            let found = found(format!("`{}` has no variable `{name}`", component.name));
            match nearest(name, known()) {
                Some(near) => found.help(format!("did you mean `{near}`?")),
                None => found.help(format!("it has {}", listing(known()))),
            }
        }
    }
}

/// Templates that write one file. Two of the same target are fine where each has a condition.
fn check_targets(component: &Component, found: &mut Vec<Diagnostic>) {
    let mut targets: HashMap<String, &super::Template> = HashMap::new();
    for (template, _) in component.all_templates() {
        let Some(path) = without_expressions(&template.target).map(|_| path::folded(&template.target)) else {
            continue;
        };
        let Some(other) = targets.insert(path, template) else { continue };
        let alike = other.target.as_str() == template.target.as_str();
        if !(alike && other.when.is_some() && template.when.is_some()) {
            let message = match alike {
                true => format!("two templates of `{}` write `{}`", component.name, template.target),
                false => format!("`{}` and `{}` are one file on some systems", other.target, template.target),
            };
            found.push(
                Diagnostic::error(Code::TargetCollision, message)
                    .at(template.target.location())
                    .related("the other", other.target.location())
                    .help("give one of them another target, or both a `when`"),
            );
        }
    }
}
