//! What a project would be: its files, and changes to them in memory.

use super::{Lock, Project, ProjectPath, Sha256};
use crate::merge;
use crate::plan::{Action, Content, Operation, Plan};
use mlx_components::catalogue::path::folded;
use mlx_core::{
    Diagnostic, Error, ErrorKind, Result,
    diagnostics::{Code, Source},
    value,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a project would be. Reading sees the changes made before; nothing is written.
///
/// `mlx.lock` and the pristine renders of `.mlx/base` are no exception: they become operations of the plan like any file.
#[derive(Debug)]
pub struct Tree<'p> {
    project: &'p Project,
    changes: BTreeMap<ProjectPath, Change>,
    bases: BTreeMap<Sha256, Vec<u8>>,
    lock: Lock,
    notes: Vec<String>,
    warnings: Vec<Diagnostic>,
    conflicts: BTreeSet<ProjectPath>,
}

#[derive(Debug)]
struct Change {
    /// `None` removes the file.
    content: Option<Vec<u8>>,
    why: String,
    merged: bool,
    /// The file that was moved here.
    from: Option<ProjectPath>,
}

impl<'p> Tree<'p> {
    pub(crate) fn of(project: &'p Project) -> Self {
        Tree {
            project,
            changes: BTreeMap::new(),
            bases: BTreeMap::new(),
            lock: project.lock().clone(),
            notes: Vec::new(),
            warnings: Vec::new(),
            conflicts: BTreeSet::new(),
        }
    }

    /// The project that it began with.
    pub fn project(&self) -> &'p Project {
        self.project
    }

    /// What `mlx.lock` will say.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// What `mlx.lock` will say, to change it.
    pub fn lock_mut(&mut self) -> &mut Lock {
        &mut self.lock
    }

    /// The content of a file, `None` where there is none (any more).
    ///
    /// # Errors
    /// As of [`Project::read`].
    pub fn read(&self, path: &ProjectPath) -> Result<Option<Vec<u8>>> {
        match self.changes.get(path) {
            Some(change) => Ok(change.content.clone()),
            None => self.project.read(path),
        }
    }

    /// The text of a file, `None` where there is none (any more).
    ///
    /// # Errors
    /// As of [`Project::read`]; a file that is not UTF-8.
    pub fn read_text(&self, path: &ProjectPath) -> Result<Option<String>> {
        let content = self.read(path)?;
        content
            .map(String::from_utf8)
            .transpose()
            .map_err(|_| Error::invalid(format!("`{path}` is not a text in UTF-8, so it cannot be edited")))
    }

    /// Whether there is a file.
    ///
    /// # Errors
    /// As of [`Project::read`].
    pub fn exists(&self, path: &ProjectPath) -> Result<bool> {
        match self.changes.get(path) {
            Some(change) => Ok(change.content.is_some()),
            None => self.project.has(path),
        }
    }

    /// Sets the content of a file. `why` names the component and the template.
    pub fn write(&mut self, path: ProjectPath, content: impl Into<Vec<u8>>, why: impl Into<String>) {
        self.change(path, Some(content.into()), why.into(), false);
    }

    /// Sets the content of a file to what came of a merge with the user's changes.
    pub fn merge(&mut self, path: ProjectPath, content: impl Into<Vec<u8>>, why: impl Into<String>) {
        self.change(path, Some(content.into()), why.into(), true);
    }

    /// Removes a file; where there is none, nothing happens.
    pub fn remove(&mut self, path: ProjectPath, why: impl Into<String>) {
        self.change(path, None, why.into(), false);
    }

    fn change(&mut self, path: ProjectPath, content: Option<Vec<u8>>, why: String, merged: bool) {
        let (from, why) = match self.changes.remove(&path) {
            Some(earlier) if earlier.why.split("; ").any(|known| known == why) => (earlier.from, earlier.why),
            Some(earlier) => (earlier.from, format!("{}; {why}", earlier.why)),
            None => (None, why),
        };
        self.changes.insert(path, Change { content, why, merged, from });
    }

    /// Moves a file, whose content can then be changed with [`write`](Tree::write) or [`merge`](Tree::merge).
    ///
    /// # Errors
    /// As of [`Project::read`]; there is no such file, or one at the new place.
    pub fn rename(&mut self, from: &ProjectPath, to: ProjectPath, why: impl Into<String>) -> Result<()> {
        let why = why.into();
        let content = self.read(from)?.ok_or_else(|| Error::not_found(format!("there is no `{from}` to move")))?;
        if self.exists(&to)? {
            return Err(occupied(&to, "there is a file already"));
        }
        // What was moved here, or made here, before.
        let origin = match self.changes.remove(from) {
            Some(earlier) => earlier.from,
            None => Some(from.clone()),
        };
        if self.project.has(from)? {
            self.changes.insert(from.clone(), Change { content: None, why: why.clone(), merged: false, from: None });
        }
        self.changes.insert(to, Change { content: Some(content), why, merged: false, from: origin });
        Ok(())
    }

    /// Keeps a pristine render for later updates. It stays as long as an entry of the lock names it.
    pub fn keep_base(&mut self, content: impl Into<Vec<u8>>) -> Sha256 {
        let content = content.into();
        let sha256 = Sha256::of(&content);
        self.bases.insert(sha256, content);
        sha256
    }

    /// A pristine render, `None` if it was lost.
    ///
    /// # Errors
    /// As of [`Project::read`].
    pub fn base(&self, sha256: &Sha256) -> Result<Option<Vec<u8>>> {
        if let Some(content) = self.bases.get(sha256) {
            return Ok(Some(content.clone()));
        }
        let content = self.project.read(&ProjectPath::base(sha256))?;
        Ok(content.filter(|content| Sha256::of(content) == *sha256))
    }

    /// The files that were changed so far.
    pub fn files(&self) -> impl Iterator<Item = &ProjectPath> {
        self.changes.keys()
    }

    /// Tells the user something about the plan.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Warns the user of something in the plan.
    pub fn warn(&mut self, warning: Diagnostic) {
        self.warnings.push(warning);
    }

    /// Says that a file has conflicts, which the user has to resolve.
    pub fn conflict(&mut self, path: ProjectPath) {
        self.conflicts.insert(path);
    }

    /// The plan that makes the project what this is. Changes that come to nothing are left out, and without any change
    /// there is no operation.
    ///
    /// # Errors
    /// As of [`Project::read`]; [`Code::Occupied`] for paths that differ in nothing but case; [`Code::ConflictsLeft`] for files with
    /// the markers of a merge of version control, which would be written over; an answer that the lock cannot
    /// hold.
    pub fn into_plan(mut self, command: &str) -> Result<Plan> {
        self.settle_bases()?;
        self.settle_lock()?;
        self.check_names()?;
        let mut operations = Vec::new();
        let mut unresolved = Vec::new();
        let moved: BTreeSet<ProjectPath> = self.changes.values().filter_map(|change| change.from.clone()).collect();
        for (path, change) in self.changes {
            let before = self.project.read(&path)?;
            if before == change.content {
                continue;
            }
            if let (Some(before), Some(_)) = (&before, &change.content)
                && let Some(conflict) = merge::conflict_of_git(path.as_str(), before)
            {
                unresolved.push(conflict);
                continue;
            }
            if let Some(content) = &change.content
                && !self.conflicts.contains(&path)
            {
                check_syntax(&path, before.as_deref(), content)?;
            }
            let sha256 = before.map(Sha256::of);
            let after = change.content.map(Content::of);
            let (action, before, after) = match (change.from, sha256, after) {
                (_, None, None) => continue,
                // Its move removes it.
                (_, Some(_), None) if moved.contains(&path) => continue,
                (_, Some(before), None) => (Action::Delete, Some(before), None),
                (Some(from), None, Some(after)) => {
                    let before = self.project.read(&from)?.map(Sha256::of);
                    let same = before == Some(after.sha256());
                    (Action::Rename { from }, before, (!same).then_some(after))
                }
                (None, None, after) => (Action::Create, None, after),
                (_, before, after) if change.merged => (Action::Merge, before, after),
                (_, before, after) => (Action::Edit, before, after),
            };
            operations.push(Operation { path, action, before, after, why: change.why });
        }
        if !unresolved.is_empty() {
            return Err(Error::from_diagnostics("the project", unresolved));
        }
        Ok(Plan {
            command: command.to_owned(),
            project: self.lock.project.name.clone(),
            operations,
            notes: self.notes,
            warnings: self.warnings,
            conflicts: self.conflicts.into_iter().collect(),
        })
    }

    /// Writes the renders that the lock names, and removes those that it named before.
    fn settle_bases(&mut self) -> Result<()> {
        let needed: BTreeSet<Sha256> = self.lock.bases().collect();
        let had: BTreeSet<Sha256> = self.project.lock().bases().collect();
        for (sha256, content) in std::mem::take(&mut self.bases) {
            if needed.contains(&sha256) {
                self.write(ProjectPath::base(&sha256), content, "pristine render");
            }
        }
        for sha256 in had.difference(&needed) {
            self.remove(ProjectPath::base(sha256), "pristine render");
        }
        Ok(())
    }

    fn settle_lock(&mut self) -> Result<()> {
        let path = ProjectPath::new(super::LOCK_FILE)?;
        if !self.project.has(&path)? || self.lock != *self.project.lock() {
            self.lock.mlx = env!("CARGO_PKG_VERSION").to_owned();
            let text = self.lock.to_text()?;
            self.write(path, text, "what the project has");
        }
        Ok(())
    }

    /// No two paths may be one on a file system that does not tell upper from lower case, and no file a folder.
    fn check_names(&self) -> Result<()> {
        let created: Vec<&ProjectPath> =
            self.changes.iter().filter(|(_, change)| change.content.is_some()).map(|(path, _)| path).collect();
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for path in &created {
            for part in path.folders().chain([path.as_str()]) {
                if let Some(other) = seen.insert(folded(part), part).filter(|other| *other != part) {
                    return Err(occupied(path, &format!("it differs from `{other}` in nothing but case")));
                }
            }
        }
        let files: BTreeSet<&str> = created.iter().map(|path| path.as_str()).collect();
        for path in &created {
            if let Some(file) = path.folders().find(|folder| files.contains(folder)) {
                return Err(occupied(path, &format!("`{file}` would be a file and a folder")));
            }
        }
        let Some(dir) = self.project.dir() else { return Ok(()) };
        let mut listings: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
        for path in created {
            let segments = path.folders().chain([path.as_str()]);
            for part in segments {
                let (folder, name) = part.rsplit_once('/').unwrap_or((".", part));
                if !listings.contains_key(folder) {
                    // A folder that is to be made has nothing in it.
                    let entries = dir.read_dir(folder).into_iter().flatten();
                    let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
                    listings.insert(folder, names.map(|name| (folded(&name), name)).collect());
                }
                let there = listings.get(folder).and_then(|names| names.get(&folded(name)));
                if let Some(other) = there.filter(|other| *other != name) {
                    let other = if folder == "." { other.clone() } else { format!("{folder}/{other}") };
                    let goes =
                        |(path, change): (&ProjectPath, &Change)| path.as_str() == other && change.content.is_none();
                    if !self.changes.iter().any(goes) {
                        return Err(occupied(path, &format!("it differs from `{other}` in nothing but case")));
                    }
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn occupied(path: &ProjectPath, fault: &str) -> Error {
    Error::from_diagnostics("the project", vec![Diagnostic::error(Code::Occupied, format!("`{path}`: {fault}"))])
}

/// Refuses to replace what can be read by what cannot: an entry may fit into its file as text, and still end in the middle of a
/// value there.
fn check_syntax(path: &ProjectPath, before: Option<&[u8]>, content: &[u8]) -> Result<()> {
    let Err(found) = syntax(path, content) else { return Ok(()) };
    if before.is_some_and(|before| syntax(path, before).is_err()) {
        // Its owner is not done with it.
        return Ok(());
    }
    let help = "this is a mistake in mlx or in a template of the catalogue; nothing is written. Put the entry in by hand, or \
                leave out the setting that the position names";
    let found = found.into_iter().map(|found| found.help(help)).collect();
    Err(Error::from_diagnostics(format!("`{path}`, as it would be written"), found).with_kind(ErrorKind::Internal))
}

/// What keeps a file from being read, for the files that programs read.
fn syntax(path: &ProjectPath, content: &[u8]) -> Result<(), Vec<Diagnostic>> {
    let name = path.as_str();
    if !matches!(name, "platform.yaml" | "plugins.json" | "Cargo.toml") {
        return Ok(());
    }
    let Ok(text) = std::str::from_utf8(content) else {
        return Err(vec![Diagnostic::error(Code::Unreadable, format!("`{name}` is not UTF-8"))]);
    };
    let source = Source::new(name, text);
    match name {
        "Cargo.toml" => match crate::manifest::parse(path, &source) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.diagnostics().to_vec()),
        },
        "plugins.json" => value::json::parse(&source).map(drop),
        _ => value::yaml::parse(&source).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{Installed, LOCK_FILE, LockedFile, MlxSource};
    use semver::Version;
    use std::fs;

    fn path(text: &str) -> ProjectPath {
        ProjectPath::new(text).unwrap()
    }

    fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Project) {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join(LOCK_FILE), Lock::new("shop", MlxSource::Path).to_text().unwrap()).unwrap();
        for (name, text) in files {
            let file = temp.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let project = Project::open(temp.path()).unwrap();
        (temp, project)
    }

    fn actions(plan: &Plan) -> Vec<(String, &str)> {
        plan.operations.iter().map(|o| (o.path.to_string(), o.action.as_str())).collect()
    }

    #[test]
    fn changes_are_seen_before_they_are_written() {
        let (_temp, project) = project(&[("a.rs", "old")]);
        let mut tree = project.tree();
        tree.write(path("a.rs"), "new", "test");
        tree.write(path("b.rs"), "b", "test");
        tree.remove(path("absent.rs"), "test");
        assert_eq!(tree.read_text(&path("a.rs")).unwrap().as_deref(), Some("new"));
        tree.remove(path("b.rs"), "test");
        assert!(!tree.exists(&path("b.rs")).unwrap());
        let plan = tree.into_plan("add").unwrap();
        assert_eq!(actions(&plan), [("a.rs".to_owned(), "edit")]);
        assert_eq!(plan.operations[0].before, Some(Sha256::of("old")));
        assert_eq!(project.read(&path("a.rs")).unwrap().unwrap(), b"old");
    }

    #[test]
    fn what_cannot_be_read_any_more_is_not_planned() {
        for (name, good, bad) in [
            ("platform.yaml", "plugins:\n  - a: {}\n", "plugins:\n  - a: {}\n      b: 1\n"),
            ("plugins.json", "{}", "{]"),
            ("Cargo.toml", "[package]\nname = \"a\"\n", "[package\n"),
        ] {
            for there in [vec![], vec![(name, good)]] {
                let (_temp, project) = project(&there);
                let mut tree = project.tree();
                tree.write(path(name), bad, "test");
                let error = tree.into_plan("add").unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
                assert!(format!("{error:?}").contains("nothing is written"), "{error:?}");
            }
            // What was broken before is its owner's.
            let (_temp, project) = project(&[(name, bad)]);
            let mut tree = project.tree();
            tree.write(path(name), format!("{bad}\n"), "test");
            assert_eq!(tree.into_plan("add").unwrap().operations.len(), 1);
        }
    }

    #[test]
    fn what_comes_to_nothing_is_no_operation() {
        let (_temp, project) = project(&[("a.rs", "old")]);
        let mut tree = project.tree();
        tree.write(path("a.rs"), "old", "test");
        assert!(tree.into_plan("add").unwrap().operations.is_empty());
    }

    #[test]
    fn a_moved_file_is_a_rename_also_when_it_is_changed() {
        let (_temp, project) = project(&[("a.rs", "a"), ("b.rs", "b")]);
        let mut tree = project.tree();
        tree.rename(&path("a.rs"), path("x/a.rs"), "test").unwrap();
        tree.rename(&path("b.rs"), path("x/b.rs"), "test").unwrap();
        tree.merge(path("x/b.rs"), "b2", "test");
        assert!(tree.rename(&path("a.rs"), path("y.rs"), "test").is_err(), "it is gone");
        assert!(tree.rename(&path("x/a.rs"), path("x/b.rs"), "test").is_err(), "there is one");
        let plan = tree.into_plan("update").unwrap();
        assert_eq!(actions(&plan), [("x/a.rs".to_owned(), "rename"), ("x/b.rs".to_owned(), "rename")]);
        assert_eq!(plan.operations[0].after, None);
        assert_eq!(plan.operations[1].after, Some(Content::of(b"b2".to_vec())));
    }

    #[test]
    fn renders_live_as_long_as_the_lock_names_them() {
        let (temp, project) = project(&[]);
        let mut tree = project.tree();
        let kept = tree.keep_base("kept");
        let unused = tree.keep_base("unused");
        assert_eq!(tree.base(&kept).unwrap().unwrap(), b"kept");
        let file = LockedFile {
            path: path("a.rs"),
            target: None,
            template: "a".to_owned(),
            version: Version::new(1, 0, 0),
            rendered: kept,
            base: kept,
        };
        tree.lock_mut().put(Installed { files: vec![file], ..Installed::new("a", Version::new(1, 0, 0)) });
        let plan = tree.into_plan("add").unwrap();
        assert_eq!(actions(&plan), [(format!(".mlx/base/{kept}"), "create"), (LOCK_FILE.to_owned(), "edit")]);
        let after = |name: &str| {
            let operation = plan.operations.iter().find(|o| o.path.as_str() == name).unwrap();
            operation.after.as_ref().unwrap().bytes().to_vec()
        };
        fs::create_dir_all(temp.path().join(".mlx/base")).unwrap();
        fs::write(temp.path().join(format!(".mlx/base/{kept}")), "kept").unwrap();
        fs::write(temp.path().join(LOCK_FILE), after(LOCK_FILE)).unwrap();
        let project = Project::open(temp.path()).unwrap();
        let mut tree = project.tree();
        assert!(tree.base(&kept).unwrap().is_some() && tree.base(&unused).unwrap().is_none());
        tree.lock_mut().components.clear();
        let plan = tree.into_plan("remove").unwrap();
        assert_eq!(actions(&plan), [(format!(".mlx/base/{kept}"), "delete"), (LOCK_FILE.to_owned(), "edit")]);
        fs::write(temp.path().join(format!(".mlx/base/{kept}")), "damaged").unwrap();
        assert_eq!(project.tree().base(&kept).unwrap(), None);
    }

    #[test]
    fn names_that_differ_in_case_only_are_refused() {
        let (_temp, project) = project(&[("src/Main.rs", "x"), ("file", "x")]);
        for paths in
            [&["src/main.rs"][..], &["SRC/x.rs"], &["new/a.rs", "new/A.rs"], &["New/a.rs", "new/b.rs"], &["n", "n/b"]]
        {
            let mut tree = project.tree();
            paths.iter().for_each(|name| tree.write(path(name), "x", "test"));
            let error = tree.into_plan("add").expect_err(paths[0]);
            assert_eq!(error.diagnostics()[0].code, Code::Occupied, "{paths:?}");
        }
        let mut tree = project.tree();
        tree.rename(&path("src/Main.rs"), path("src/main.rs"), "test").unwrap();
        assert!(tree.into_plan("add").is_ok(), "a file may change its case");
    }
}
