//! Compositions of several files.

use super::{
    Composition, PluginEntry,
    document::{Document, Preference},
    entry::Change,
    profile::Profile,
};
use crate::{
    config::Located,
    diagnostics::{Code, Diagnostic, Error, Location, Result},
    value::{self, Node},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A composition may be made of this many files; one that is included twice counts twice.
const MAX_FILES: usize = 256;

/// Files may include each other this deep.
const MAX_DEPTH: usize = 16;

/// Reads a file, and those that it names. The files are said also where they do not make a composition.
pub(super) fn read_file(path: &Path) -> (Vec<PathBuf>, Result<Composition>) {
    let mut loader = Loader::default();
    let composition = loader.file(path, None);
    (std::mem::take(&mut loader.read), loader.finish(path.display(), composition))
}

/// Reads the files that a text names; their paths are relative to the current directory.
pub(super) fn read_text(node: &Node) -> Result<Composition> {
    let mut loader = Loader::default();
    let composition = loader.composition(node, Path::new(""));
    loader.finish("the composition", Some(composition))
}

#[derive(Default)]
struct Loader {
    /// The files that are being read, each named by the one before it.
    open: Vec<PathBuf>,
    files: usize,
    /// What was read or should have been.
    read: Vec<PathBuf>,
    found: Vec<Diagnostic>,
}

impl Loader {
    /// Files that cannot be read leave a composition that is not worth checking further.
    fn finish(self, subject: impl std::fmt::Display, composition: Option<Composition>) -> Result<Composition> {
        let mut found = self.found;
        match composition {
            Some(composition) if found.is_empty() => Ok(composition),
            composition => {
                found.extend(composition.into_iter().flat_map(|composition| composition.problems));
                Err(Error::from_diagnostics(subject, found))
            }
        }
    }

    fn file(&mut self, path: &Path, from: Option<&Location>) -> Option<Composition> {
        let refused = |code: Code, message: String| Diagnostic::error(code, message).at(from);
        let canonical = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if self.open.contains(&canonical) {
            let message = match self.open.last() == Some(&canonical) {
                true => format!("`{}` names itself", path.display()),
                false => format!("`{}` is being read already: files name each other in a circle", path.display()),
            };
            self.found.push(refused(Code::CircularInclude, message).help("move what both need into a file of its own"));
            return None;
        }
        if self.open.len() >= MAX_DEPTH {
            let message = format!("files name each other more than {MAX_DEPTH} levels deep");
            self.found.push(refused(Code::TooLarge, message));
            return None;
        }
        self.files += 1;
        if self.files > MAX_FILES {
            if self.files == MAX_FILES + 1 {
                let message = format!("the composition is made of more than {MAX_FILES} files");
                self.found.push(refused(Code::TooLarge, message));
            }
            return None;
        }
        self.read.push(path.to_owned());
        match value::read_included(path, from) {
            Ok(node) => {
                self.open.push(canonical);
                let composition = self.composition(&node, path.parent().unwrap_or(Path::new("")));
                self.open.pop();
                Some(composition)
            }
            Err(mut found) => {
                self.found.append(&mut found);
                None
            }
        }
    }

    /// A file with those that it names: its base, over that what it includes, over that what it says itself.
    fn composition(&mut self, node: &Node, directory: &Path) -> Composition {
        let document = Document::read(node);
        let mut named = |path: &Located<String>| {
            let joined: PathBuf = directory.join(&path.value).components().collect();
            self.file(&joined, path.location.as_ref())
        };
        let base = document.extends.as_ref().and_then(&mut named);
        // What belongs to a base that cannot be read is not known to be wrong.
        let complete = base.is_some() == document.extends.is_some();
        let included: Vec<Composition> = document.include.iter().filter_map(&mut named).collect();
        let mut composition = base.unwrap_or_else(Composition::empty);
        let inherited = composition.plugins.len();
        for included in included {
            composition.include(included);
        }
        composition.extend(document, inherited, complete);
        composition
    }
}

impl Composition {
    /// Adds what another composition has.
    fn include(&mut self, other: Composition) {
        for entry in other.plugins {
            // A file that is included twice has the same entries twice.
            if !self.plugins.contains(&entry) {
                self.plugins.push(entry);
            }
        }
        for group in other.conflicts {
            if !self.conflicts.contains(&group) {
                self.conflicts.push(group);
            }
        }
        self.prefer(other.precedence);
        self.add_components(other.components);
        self.definitions.merge(other.definitions);
        self.options.merge(other.options);
        self.add_profiles(other.profiles);
        for problem in other.problems {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }

    /// Lays what a file says over what the files say that it names. Its entries change the first `inherited` plugins,
    /// and are added to them.
    fn extend(&mut self, document: Document, inherited: usize, complete: bool) {
        let extends = document.extends.is_some();
        if let Some(name) = document.name {
            self.name = name;
        }
        if let Some(description) = document.description {
            self.description = description;
        }
        for change in document.plugins {
            let base = self.plugins.iter_mut().take(inherited).find(|entry| extends && change.is_of(entry));
            match (base, change) {
                (Some(entry), change) => entry.apply(change),
                (None, change) => match change.into_entry() {
                    Ok(entry) => self.plugins.push(entry),
                    Err(change) if complete => self.problems.push(no_base(&change, &self.plugins[..inherited])),
                    Err(_) => {}
                },
            }
        }
        self.conflicts.extend(document.conflicts);
        self.prefer(document.precedence);
        self.add_components(document.components);
        self.definitions.merge(document.variables);
        self.options.merge(document.options);
        self.add_profiles(document.profiles);
        self.problems.extend(document.problems);
    }

    /// What is preferred of a type or capability is said once: a later list takes the place of an earlier one.
    fn prefer(&mut self, precedence: Vec<Preference>) {
        for preference in precedence {
            match self.precedence.iter_mut().find(|known| known.of.value == preference.of.value) {
                Some(known) => *known = preference,
                None => self.precedence.push(preference),
            }
        }
    }

    fn add_components(&mut self, components: Vec<Located<String>>) {
        for component in components {
            if !self.components.iter().any(|known| known.value == component.value) {
                self.components.push(component);
            }
        }
    }

    fn add_profiles(&mut self, profiles: BTreeMap<String, Profile>) {
        for (name, profile) in profiles {
            self.profiles.entry(name).or_default().append(profile);
        }
    }
}

/// An entry that gives an id alone, and there is no plugin of that id to change.
fn no_base(change: &Change, base: &[PluginEntry]) -> Diagnostic {
    let id = change.id().map(|id| id.value.as_str()).unwrap_or_default();
    let ids = || base.iter().map(PluginEntry::id);
    let message = format!("missing field `name`: the base has no plugin `{}` to change", change.label());
    let mut diagnostic =
        Diagnostic::error(Code::MissingField, message).at(change.location.as_ref()).in_path(&change.path);
    if let Some(other) = base.iter().find(|entry| entry.id() == id) {
        diagnostic = other.of_another_type(diagnostic);
    } else if let Some(near) = crate::diagnostics::nearest(id, ids()) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    diagnostic.help(format!("the plugins of the base are {}", crate::diagnostics::listing(ids())))
}
