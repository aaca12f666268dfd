//! Which components there are: those that come with the command, under those of the project's own folders, under those of the
//! folders that were named.

use crate::project::{Lock, Project};
use mlx_components::catalogue::Catalogue;
use mlx_core::{
    Diagnostic, Error, Result,
    diagnostics::{Code, Severity},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

/// The components of a project's commands.
pub(super) struct Catalogues {
    pub(super) catalogue: Cow<'static, Catalogue>,
    /// The folder of each component that is not built in, as the lock records it.
    pub(super) folders: BTreeMap<String, String>,
    /// The components of folders that cannot be read any more, and why. The catalogue does not have them, not even where one that is
    /// built in has the same name.
    pub(super) gone: BTreeMap<String, Diagnostic>,
}

/// Catalogues of folders: the folder, relative to where the command was started, and what is in it.
pub(super) type Named = Vec<(PathBuf, Catalogue)>;

impl Catalogues {
    /// The components for a project, or one that is to be made: what `lock` records, and what was `named` for this command.
    pub(super) fn of(root: &Path, lock: &Lock, named: Named) -> Result<Self> {
        let mut recorded: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for entry in &lock.components {
            if let Some(folder) = &entry.catalogue {
                recorded.entry(folder).or_default().insert(&entry.component);
            }
        }
        let mut catalogues = Catalogues {
            catalogue: Cow::Borrowed(Catalogue::embedded()?),
            folders: BTreeMap::new(),
            gone: BTreeMap::new(),
        };
        let mut opened = Vec::new();
        for (folder, names) in recorded {
            match open(&root.join(folder)) {
                Ok(catalogue) => opened.push((folder.to_owned(), names, catalogue)),
                Err(error) => {
                    let why = |name: &str| {
                        let message = format!("`{name}` came from the catalogue in `{folder}`, which cannot be read");
                        let found = Diagnostic::error(Code::UnknownComponent, message);
                        let found = match error.diagnostics().first() {
                            Some(first) => match &first.location {
                                Some(at) => found.help(format!("{at}: {}", first.message)),
                                None => found.help(first.message.clone()),
                            },
                            None => found,
                        };
                        found.help("if it has moved, name the folder where it is now with `--catalog DIR`")
                    };
                    catalogues.gone.extend(names.into_iter().map(|name| (name.to_owned(), why(name))));
                }
            }
        }
        for (folder, _, catalogue) in &opened {
            catalogues.lay(folder, catalogue.clone());
        }
        // Where several folders have a component, it stays with the one that it came from.
        for (folder, names, mut catalogue) in opened {
            catalogue.retain(|name| names.contains(name));
            catalogues.lay(&folder, catalogue);
        }
        for (folder, catalogue) in named {
            catalogues.lay(&relative(root, &folder), catalogue);
        }
        if !catalogues.gone.is_empty() {
            let gone = &catalogues.gone;
            catalogues.catalogue.to_mut().retain(|name| !gone.contains_key(name));
        }
        Ok(catalogues)
    }

    fn lay(&mut self, folder: &str, over: Catalogue) {
        for component in over.components() {
            self.folders.insert(component.name.clone(), folder.to_owned());
            self.gone.remove(&component.name);
        }
        self.catalogue = Cow::Owned(self.catalogue.overlaid(over));
    }

    /// What a command says that does without the components that are gone.
    pub(super) fn warnings(&self) -> Vec<Diagnostic> {
        let warning = |found: &Diagnostic| {
            let mut warning = found.clone();
            warning.severity = Severity::Warning;
            warning
        };
        self.gone.values().map(warning).collect()
    }
}

fn open(folder: &Path) -> Result<Catalogue> {
    match folder.is_dir() {
        true => Catalogue::open(folder),
        false => Err(Error::from_diagnostics(
            "the catalogue",
            vec![Diagnostic::error(Code::Unreadable, format!("{} is no folder", folder.display()))],
        )),
    }
}

/// The catalogues of folders that were named.
pub(super) fn named(folder: &Path, names: &[PathBuf]) -> Result<Named> {
    names.iter().map(|name| Ok((folder.join(name), open(&folder.join(name))?))).collect()
}

/// The catalogue outside a project; inside one, with what it records. What is gone is left out.
pub(super) fn anywhere(folder: &Path, named: Named) -> Result<Cow<'static, Catalogue>> {
    if let Ok(project) = Project::find(folder) {
        return Ok(Catalogues::of(project.root(), project.lock(), named)?.catalogue);
    }
    let catalogue = Cow::Borrowed(Catalogue::embedded()?);
    Ok(named.into_iter().fold(catalogue, |below, (_, over)| Cow::Owned(below.overlaid(over))))
}

/// The way from one folder to another, with forward slashes: `../company`. Where there is none, the other as it is.
pub(super) fn relative(from: &Path, to: &Path) -> String {
    if from == to {
        return ".".to_owned();
    }
    let (from, to) = (resolved(from), resolved(to));
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    if common == 0 {
        return to.display().to_string();
    }
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to.components().skip(common)).collect();
    match way.to_str() {
        Some("") => ".".to_owned(),
        Some(way) if cfg!(windows) => way.replace('\\', "/"),
        Some(way) => way.to_owned(),
        None => to.display().to_string(),
    }
}

/// A path without symbolic links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing =
        path.ancestors().find_map(|folder| Some((folder.canonicalize().ok()?, path.strip_prefix(folder).ok()?)));
    match existing {
        Some((folder, rest)) if rest.as_os_str().is_empty() => folder,
        Some((folder, rest)) => folder.join(rest),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_folders() {
        let temp = tempfile::tempdir().unwrap();
        let at = |path: &str| temp.path().join(path);
        std::fs::create_dir_all(at("a/b")).unwrap();
        for (from, to, way) in [
            ("a", "a", "."),
            ("a", "a/b", "b"),
            ("a/b", "a", ".."),
            ("a/new", "company", "../../company"),
            ("a/../a/b", "a/c", "../c"),
        ] {
            assert_eq!(relative(&at(from), &at(to)), way, "{from} to {to}");
        }
    }
}
