//! Updating components: what is generated now is merged with what the user made of what was generated before.
//!
//! Needs neither the old templates nor version control: the pristine render of every file is kept in `.mlx/base`.
//!
//! | the file | the template is as before | the template changed |
//! |---|---|---|
//! | as it was generated | stays | is replaced |
//! | edited | stays | three-way merge |
//! | moved, perhaps edited | is followed | is followed, and merged where it is now |
//! | deleted | stays deleted | stays deleted, which is said; it is not counted as updated |
//!
//! A file that the component no longer has is deleted if it is as it was generated and where it was; otherwise it is the
//! user's from now on. A new file does not take the place of one of the user's: it is put beside it.

mod pending;

pub(crate) use pending::check_settled;
pub use pending::{Pending, abort, into_plan, resume};

use crate::{
    manifest::{self, Requirement, Section},
    merge::{self, Labels, Merge},
    plugins_json,
    project::{Installed, LockedEdit, LockedFile, ProjectPath, Sha256, Tree},
    region,
    status::{Located, follow, locate, without_entries},
};
use mlx_core::{Diagnostic, Error, JsonValue, Result, diagnostics::Code, json};
use semver::Version;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const MANIFEST: &str = "Cargo.toml";

/// What a component of the project, or a plugin made of it, comes to with the templates of now.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// Its entry in the lock, as it would be if it was added to an empty project.
    pub entry: Installed,
    /// The contents of the entry's files, formatted, by the paths there.
    pub contents: BTreeMap<ProjectPath, Vec<u8>>,
    /// The crates that its code needs.
    pub requirements: Vec<(Section, Requirement)>,
    /// What changed for the user between the version that the project has and this one.
    pub changes: Vec<String>,
}

/// What an update did to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do.
    Unchanged,
    /// The file is new.
    Created,
    /// It was as it was generated, and is replaced.
    Replaced,
    /// The user's changes and the template's are both in.
    Merged,
    /// Both changed the same place: the file has conflict markers.
    Conflict,
    /// The file cannot have markers, or is not the component's: it stays, and what is generated now is beside it.
    Beside(ProjectPath),
    /// The user deleted it, and the template changed since.
    KeptDeleted,
    /// The component no longer has it, and it was as it was generated.
    Deleted,
    /// The component no longer has it, and the user changed or moved it: it is the user's now.
    Released,
}

impl Outcome {
    /// `unchanged`, `created`, `replaced`, `merged`, `conflict`, `beside`, `kept-deleted`, `deleted` or `released`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Outcome::Unchanged => "unchanged",
            Outcome::Created => "created",
            Outcome::Replaced => "replaced",
            Outcome::Merged => "merged",
            Outcome::Conflict => "conflict",
            Outcome::Beside(_) => "beside",
            Outcome::KeptDeleted => "kept-deleted",
            Outcome::Deleted => "deleted",
            Outcome::Released => "released",
        }
    }
}

/// A file that an update looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUpdate {
    /// Where it is, or was.
    pub path: ProjectPath,
    /// Where the component had made it, if the user or the component moved it.
    pub from: Option<ProjectPath>,
    /// What was done.
    pub outcome: Outcome,
}

/// A component or plugin that was updated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentUpdate {
    /// Its name; of a plugin, `component (type/name)`.
    pub id: String,
    /// The version before; `None` for one that was not there.
    pub from: Option<Version>,
    /// The version now.
    pub to: Version,
    /// What changed for the user.
    pub changes: Vec<String>,
    /// Its files.
    pub files: Vec<FileUpdate>,
}

impl ComponentUpdate {
    /// The update as JSON.
    pub fn to_json(&self) -> JsonValue {
        let file = |file: &FileUpdate| {
            let beside = match &file.outcome {
                Outcome::Beside(path) => Some(path.as_str()),
                _ => None,
            };
            json!({"path": file.path, "from": file.from, "outcome": file.outcome.as_str(), "beside": beside})
        };
        json!({
            "component": self.id,
            "from": self.from.as_ref().map(Version::to_string),
            "to": self.to.to_string(),
            "changes": self.changes,
            "files": self.files.iter().map(file).collect::<Vec<_>>(),
        })
    }
}

/// Brings components of the project to what they are now, in the tree. A component that the project does not have is added.
///
/// [`into_plan`] makes the plan, which can be given up or continued if there are conflicts.
///
/// # Errors
/// [`Code::UpdatePending`] while an earlier update has conflicts; [`Code::NoRegion`]; as of [`Tree::read`].
pub fn update(tree: &mut Tree<'_>, generated: Vec<Generated>) -> Result<Vec<ComponentUpdate>> {
    check_settled(tree.project())?;
    let located = locate(tree)?;
    let mut located = follow(tree, located);
    let mut all: Vec<One> = generated.into_iter().map(|generated| One::new(tree, generated)).collect();
    // A file that goes from one component to another keeps the user's changes.
    let mut released: BTreeMap<ProjectPath, LockedFile> = BTreeMap::new();
    for one in &all {
        released.extend(one.pairs.iter().filter_map(|pair| match pair {
            (Some(was), None) => Some((was.target().clone(), was.clone())),
            _ => None,
        }));
    }
    let mut taken = BTreeSet::new();
    for (was, is) in all.iter_mut().flat_map(|one| &mut one.pairs) {
        if let (None, Some(is)) = (&was, is)
            && let Some(other) = released.remove(&is.path)
        {
            taken.insert(other.path.clone());
            *was = Some(other);
        }
    }
    for one in &mut all {
        one.pairs.retain(|pair| !matches!(pair, (Some(was), None) if taken.contains(&was.path)));
    }
    // What goes makes room for what is moved, and both for what is new.
    type Turn = fn(&(Option<LockedFile>, Option<LockedFile>)) -> bool;
    let turns: [Turn; 3] =
        [|(_, is)| is.is_none(), |(was, is)| was.is_some() && is.is_some(), |(was, _)| was.is_none()];
    for turn in turns {
        for one in &mut all {
            for pair in one.pairs.clone().into_iter().filter(turn) {
                one.pair(tree, pair, &mut located)?;
            }
        }
    }
    for one in &mut all {
        let files = std::mem::take(&mut one.files);
        tree.lock_mut().put(Installed { files, ..one.old.clone() });
    }
    for one in &all {
        let edits = entries(tree, &one.old, &one.entry)?;
        let moved: BTreeMap<&ProjectPath, &ProjectPath> =
            one.update.files.iter().filter_map(|file| Some((file.from.as_ref()?, &file.path))).collect();
        plugins(tree, &one.entry, &moved)?;
        let dependencies = dependencies(tree, &one.old, &one.entry, &one.requirements)?;
        for change in &one.update.changes {
            tree.note(format!("{} {}: {change}", one.update.id, one.update.to));
        }
        let files = tree.lock().find(&one.entry.component, one.entry.instance.as_deref()).map(|put| put.files.clone());
        let files = files.unwrap_or_default();
        let requested = one.old.requested;
        tree.lock_mut().put(Installed { files, edits, dependencies, requested, ..one.entry.clone() });
    }
    Ok(all.into_iter().map(|one| one.update).collect())
}

fn why(old: &Installed, new: &Installed, is_new: bool) -> String {
    match is_new {
        true => new.id(),
        false if old.version == new.version => format!("{} {}", new.id(), new.version),
        false => format!("{} {} -> {}", new.id(), old.version, new.version),
    }
}

type Pair = (Option<LockedFile>, Option<LockedFile>);

/// Each old file with the new one of the same template. A template that makes several files is told apart by their paths.
fn pairs(old: &[LockedFile], new: &[LockedFile]) -> Vec<Pair> {
    let mut free: Vec<&LockedFile> = new.iter().collect();
    let mut partner: BTreeMap<&ProjectPath, &LockedFile> = BTreeMap::new();
    for was in old {
        if let Some(at) = free.iter().position(|is| is.path == *was.target()) {
            partner.insert(&was.path, free.remove(at));
        }
    }
    let alone =
        |files: &[&LockedFile], template: &str| files.iter().filter(|file| file.template == template).count() == 1;
    let left: Vec<&LockedFile> = old.iter().filter(|was| !partner.contains_key(&was.path)).collect();
    for was in &left {
        if alone(&left, &was.template)
            && alone(&free, &was.template)
            && let Some(at) = free.iter().position(|is| is.template == was.template)
        {
            partner.insert(&was.path, free.remove(at));
        }
    }
    let with_old = old.iter().map(|was| (Some(was.clone()), partner.get(&was.path).map(|is| (*is).clone())));
    with_old.chain(free.into_iter().map(|is| (None, Some(is.clone())))).collect()
}

/// The update of one component.
struct One {
    old: Installed,
    entry: Installed,
    contents: BTreeMap<ProjectPath, Vec<u8>>,
    requirements: Vec<(Section, Requirement)>,
    pairs: Vec<Pair>,
    why: String,
    /// The files of the lock that come of it.
    files: Vec<LockedFile>,
    update: ComponentUpdate,
}

impl One {
    fn new(tree: &Tree<'_>, Generated { entry, contents, requirements, changes }: Generated) -> Self {
        let old = tree.lock().find(&entry.component, entry.instance.as_deref()).cloned();
        let update = ComponentUpdate {
            id: entry.id(),
            from: old.as_ref().map(|old| old.version.clone()),
            to: entry.version.clone(),
            changes,
            files: Vec::new(),
        };
        let old = old.unwrap_or_else(|| Installed {
            instance: entry.instance.clone(),
            requested: entry.requested,
            ..Installed::new(&entry.component, entry.version.clone())
        });
        let why = why(&old, &entry, update.from.is_none());
        let pairs = pairs(&old.files, &entry.files);
        One { old, entry, contents, requirements, pairs, why, files: Vec::new(), update }
    }

    fn pair(&mut self, tree: &mut Tree<'_>, pair: Pair, located: &mut BTreeMap<ProjectPath, Located>) -> Result<()> {
        let theirs = match &pair.1 {
            None => Vec::new(),
            Some(is) => self
                .contents
                .remove(&is.path)
                .ok_or_else(|| Error::internal(format!("{} has no content for `{}`", self.entry.id(), is.path)))?,
        };
        let found = pair.0.as_ref().and_then(|was| located.remove(&was.path));
        match (pair, found) {
            ((Some(was), Some(is)), Some(found)) => self.file(tree, &was, &is, &found, &theirs),
            ((Some(_), None), Some(found)) => {
                self.without_template(tree, &found);
                Ok(())
            }
            ((_, Some(is)), None) => self.new_file(tree, &is, &theirs),
            ((_, None), _) | ((None, _), Some(_)) => Ok(()),
        }
    }

    fn done(&mut self, path: ProjectPath, from: Option<ProjectPath>, outcome: Outcome) {
        self.update.files.push(FileUpdate { path, from, outcome });
    }

    /// Keeps the file in the lock, as of the new template.
    fn keep(&mut self, tree: &mut Tree<'_>, path: ProjectPath, is: &LockedFile, theirs: &[u8]) {
        let base = tree.keep_base(theirs);
        let target = (path != is.path).then(|| is.path.clone());
        self.files.push(LockedFile { path, target, base, ..is.clone() });
    }

    fn why(&self, file: &LockedFile) -> String {
        format!("{}: {}", self.why, file.template)
    }

    fn file(
        &mut self,
        tree: &mut Tree<'_>,
        was: &LockedFile,
        is: &LockedFile,
        found: &Located,
        theirs: &[u8],
    ) -> Result<()> {
        // Where the render is lost, it is still known what the template came to before it was formatted.
        let known = tree.base(&was.base)?.is_some() || was.rendered != is.rendered;
        let template_changed = known && was.base != Sha256::of(theirs);
        let Some(ours) = found.content.clone() else {
            // What the user deleted stays deleted.
            if template_changed {
                tree.note(format!("`{}` stays deleted; its template has changed", was.path));
                self.files.push(was.clone());
                self.done(was.path.clone(), None, Outcome::KeptDeleted);
            } else {
                self.keep(tree, was.path.clone(), is, theirs);
                self.done(was.path.clone(), None, Outcome::Unchanged);
            }
            return Ok(());
        };
        let path = self.place(tree, was, is, found)?;
        let from = (path != *found.at()).then(|| found.at().clone());
        if found.was_moved() {
            tree.note(format!("`{}` is now `{path}`, and is updated there", found.at()));
        }
        self.keep(tree, path.clone(), is, theirs);
        if !template_changed {
            self.done(path, from, Outcome::Unchanged);
            return Ok(());
        }
        let why = self.why(is);
        let outcome = match merged(tree, &path, found, &ours, theirs)? {
            Some(Merge::Clean(text)) if text == ours => Outcome::Unchanged,
            Some(Merge::Clean(text)) if found.is_pristine() => {
                tree.write(path.clone(), text, why);
                Outcome::Replaced
            }
            Some(Merge::Clean(text)) => {
                tree.merge(path.clone(), text, why);
                Outcome::Merged
            }
            Some(Merge::Conflict { text, .. }) => {
                tree.merge(path.clone(), text, why);
                tree.conflict(path.clone());
                Outcome::Conflict
            }
            Some(Merge::Binary) => beside(tree, &path, theirs, why)?,
            None => {
                let lost = format!("the pristine render of `{}` is lost, so it cannot be merged", was.path);
                tree.warn(Diagnostic::warning(Code::BaseLost, lost));
                beside(tree, &path, theirs, why)?
            }
        };
        self.done(path, from, outcome);
        Ok(())
    }

    /// Where the file goes on: where the user moved it, or where the template has it now.
    fn place(&self, tree: &mut Tree<'_>, was: &LockedFile, is: &LockedFile, found: &Located) -> Result<ProjectPath> {
        if found.was_moved() || was.target.is_some() || was.path == is.path {
            return Ok(found.path().clone());
        }
        if tree.exists(&is.path)? {
            tree.warn(
                Diagnostic::warning(
                    Code::Occupied,
                    format!("`{}` would be moved to `{}`, where there is a file", was.path, is.path),
                )
                .help("it is updated where it is"),
            );
            return Ok(was.path.clone());
        }
        tree.rename(&was.path, is.path.clone(), self.why(is))?;
        Ok(is.path.clone())
    }

    fn without_template(&mut self, tree: &mut Tree<'_>, found: &Located) {
        if found.content.is_none() {
            return;
        }
        let path = found.path().clone();
        if found.is_pristine() && !found.was_moved() {
            tree.remove(path.clone(), self.why.clone());
            self.done(path, None, Outcome::Deleted);
        } else {
            let did = if found.was_moved() { "moved" } else { "changed" };
            tree.note(format!(
                "`{path}` is no longer part of {}; you {did} it, so it stays and is yours",
                self.update.id
            ));
            self.done(path, found.was_moved().then(|| found.at().clone()), Outcome::Released);
        }
    }

    fn new_file(&mut self, tree: &mut Tree<'_>, is: &LockedFile, theirs: &[u8]) -> Result<()> {
        let why = self.why(is);
        let outcome = match tree.read(&is.path)? {
            None => {
                tree.write(is.path.clone(), theirs, why);
                Outcome::Created
            }
            Some(there) if there == theirs => Outcome::Unchanged,
            Some(_) => beside(tree, &is.path, theirs, why)?,
        };
        self.keep(tree, is.path.clone(), is, theirs);
        self.done(is.path.clone(), None, outcome);
        Ok(())
    }
}

/// The merge of a file; nothing where its pristine render is lost.
fn merged(tree: &Tree<'_>, path: &ProjectPath, found: &Located, ours: &[u8], theirs: &[u8]) -> Result<Option<Merge>> {
    let labels = Labels::default();
    let Some(base) = found.base.as_deref() else {
        return Ok((ours == theirs).then(|| Merge::Clean(ours.to_vec())));
    };
    let three_way = if path.file_name() == MANIFEST { merge::toml } else { merge::three_way };
    let merged = three_way(base, ours, theirs, &labels);
    if !matches!(merged, Merge::Conflict { .. }) {
        return Ok(Some(merged));
    }
    // What components put into regions of the file is not the user's, and can be put in again.
    let lock = tree.lock();
    let without = without_entries(lock, found.target(), ours);
    if without == ours {
        return Ok(Some(merged));
    }
    let Merge::Clean(text) = three_way(base, &without, theirs, &labels) else { return Ok(Some(merged)) };
    let Ok(mut text) = String::from_utf8(text) else { return Ok(Some(merged)) };
    let old = String::from_utf8_lossy(ours);
    for edit in
        lock.components.iter().flat_map(|installed| &installed.edits).filter(|edit| edit.file == *found.target())
    {
        if !region::contains(path, &old, &edit.region, &edit.text).unwrap_or(false) {
            continue;
        }
        match region::insert(path, &text, &edit.region, &edit.text) {
            Ok(inserted) => text = inserted.unwrap_or(text),
            Err(_) => return Ok(Some(merged)),
        }
    }
    Ok(Some(Merge::Clean(text.into_bytes())))
}

/// Leaves the file, and puts what is generated now beside it.
fn beside(tree: &mut Tree<'_>, path: &ProjectPath, theirs: &[u8], why: String) -> Result<Outcome> {
    let beside = free(tree, &merge::aside(path.as_str()))?;
    tree.write(beside.clone(), theirs, why);
    tree.note(format!(
        "`{path}` stays as it is; what is generated now is in `{beside}`: take over what you need, and delete it"
    ));
    tree.conflict(beside.clone());
    Ok(Outcome::Beside(beside))
}

/// This path, or the next one with a number that no file has.
pub(crate) fn free(tree: &Tree<'_>, path: &str) -> Result<ProjectPath> {
    let mut number = 1;
    loop {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let free = ProjectPath::new(&format!("{path}{suffix}"))?;
        if !tree.exists(&free)? {
            return Ok(free);
        }
        number += 1;
    }
}

/// Brings the entries in regions to what they are now. One that the user changed is merged; where that is not possible it stays,
/// and the user is told.
fn entries(tree: &mut Tree<'_>, old: &Installed, new: &Installed) -> Result<Vec<LockedEdit>> {
    let why = format!("{} {}", new.id(), new.version);
    let mut kept = Vec::new();
    let mut gone: Vec<&LockedEdit> = old.edits.iter().filter(|edit| !new.edits.contains(edit)).collect();
    for edit in &new.edits {
        if old.edits.contains(edit) {
            kept.push(edit.clone());
            continue;
        }
        // One that changed has a predecessor in the same region.
        let place = gone.iter().position(|was| (&was.file, &was.region) == (&edit.file, &edit.region));
        let was = place.map(|at| gone.remove(at));
        match entry(tree, was, edit)? {
            Entry::There => kept.push(edit.clone()),
            Entry::Written(text) => {
                tree.write(tree.lock().place(&edit.file), text, why.clone());
                kept.push(edit.clone());
            }
            Entry::Refused(fault) => {
                let file = tree.lock().place(&edit.file);
                tree.warn(
                    Diagnostic::warning(Code::EntryChanged, format!("`{file}`, region `{}`: {fault}", edit.region))
                        .help(format!("change it by hand; the template has now:\n{}", edit.text)),
                );
                kept.extend(was.cloned());
            }
        }
    }
    for was in gone {
        let file = tree.lock().place(&was.file);
        let Some(text) = tree.read_text(&file)? else { continue };
        match region::remove(&file, &text, &was.region, &was.text)? {
            Some(without) => tree.write(file, without, why.clone()),
            None => tree.note(format!(
                "`{file}`: what {} had put into the region `{}` is no longer needed; you changed it, so it stays",
                new.id(),
                was.region
            )),
        }
    }
    Ok(kept)
}

enum Entry {
    There,
    Written(String),
    /// Why it cannot be brought up to date.
    Refused(&'static str),
}

fn entry(tree: &Tree<'_>, was: Option<&LockedEdit>, edit: &LockedEdit) -> Result<Entry> {
    let file = &tree.lock().place(&edit.file);
    let Some(text) = tree.read_text(file)? else { return Ok(Entry::Refused("the file is gone")) };
    let Some(was) = was else {
        return Ok(region::insert(file, &text, &edit.region, &edit.text)?.map_or(Entry::There, Entry::Written));
    };
    if let Some(replaced) = region::replace(file, &text, &was.region, &was.text, &edit.text)? {
        return Ok(Entry::Written(replaced));
    }
    if region::contains(file, &text, &edit.region, &edit.text)? {
        return Ok(Entry::There);
    }
    let others: Vec<&str> = tree
        .lock()
        .components
        .iter()
        .flat_map(|installed| &installed.edits)
        .filter(|other| (&other.file, &other.region) == (&edit.file, &edit.region) && other.text != was.text)
        .map(|other| other.text.as_str())
        .collect();
    Ok(match region::merge(file, &text, &edit.region, &was.text, &edit.text, &others)? {
        Some(merged) => Entry::Written(merged),
        None => Entry::Refused("what was put there was changed by hand"),
    })
}

/// Brings `plugins.json` to the component's version, and to where its files are.
fn plugins(tree: &mut Tree<'_>, entry: &Installed, moved: &BTreeMap<&ProjectPath, &ProjectPath>) -> Result<()> {
    let path = ProjectPath::new(plugins_json::FILE)?;
    let Some(text) = tree.read_text(&path)? else { return Ok(()) };
    let mut new = text.clone();
    for plugin in &entry.plugins {
        if let Some(mut there) = listed(&new, plugin) {
            there.component_version = entry.version.to_string();
            if let Some(to) = ProjectPath::new(&there.path).ok().and_then(|path| moved.get(&path).copied()) {
                there.path = to.to_string();
            }
            new = plugins_json::put(&new, &there)?;
        }
    }
    if new != text {
        tree.write(path, new, format!("{} {}", entry.id(), entry.version));
    }
    Ok(())
}

/// Brings `Cargo.toml` to what the component needs now. Gives the crates that are there because of components.
fn dependencies(
    tree: &mut Tree<'_>,
    old: &Installed,
    new: &Installed,
    requirements: &[(Section, Requirement)],
) -> Result<Vec<String>> {
    let path = ProjectPath::new(MANIFEST)?;
    let Some(text) = tree.read_text(&path)? else { return Ok(old.dependencies.clone()) };
    let why = format!("{} {}", new.id(), new.version);
    if merge::has_markers(text.as_bytes(), &Labels::default()) {
        // It is no TOML before the conflicts are resolved.
        for (_, needed) in requirements.iter().filter(|(_, needed)| !old.dependencies.contains(&needed.name)) {
            let message = format!("`{path}` has conflicts, so `{}`, which {why} needs, was not added", needed.name);
            tree.warn(Diagnostic::warning(Code::EntryChanged, message).help("add it when you resolve them"));
        }
        return Ok(old.dependencies.clone());
    }
    let others: BTreeSet<String> = tree
        .lock()
        .components
        .iter()
        .filter(|installed| installed.id() != new.id())
        .flat_map(|installed| installed.dependencies.iter().cloned())
        .collect();
    let mut edited = text.clone();
    let mut kept = BTreeSet::new();
    for (section, needed) in requirements {
        let required = manifest::require(&path, &edited, *section, needed, &why)?;
        declare(tree, &path, &needed.name, &edited, &required.text)?;
        edited = required.text;
        required.notes.into_iter().for_each(|note| tree.note(note));
        if required.added || old.dependencies.contains(&needed.name) || others.contains(&needed.name) {
            kept.insert(needed.name.clone());
        }
    }
    let gone = old.dependencies.iter().filter(|name| !kept.contains(*name) && !others.contains(*name));
    edited = release(tree, &path, edited, gone)?;
    if edited != text {
        tree.write(path, edited, why);
    }
    Ok(kept.into_iter().collect())
}

/// Has the lock know which declaration in `[workspace.dependencies]` an edit of the manifest has made.
pub(crate) fn declare(tree: &mut Tree<'_>, path: &ProjectPath, name: &str, before: &str, now: &str) -> Result<()> {
    let [before, now] = [manifest::declaration(path, before, name)?, manifest::declaration(path, now, name)?];
    tree.lock_mut().declare(name, before.as_deref(), now.as_deref());
    Ok(())
}

/// Takes crates out of a manifest, and with them what was declared for components in `[workspace.dependencies]` and is used by
/// no package any more.
pub(crate) fn release<'n>(
    tree: &mut Tree<'_>,
    path: &ProjectPath,
    mut text: String,
    names: impl Iterator<Item = &'n String>,
) -> Result<String> {
    for name in names {
        for section in [Section::Normal, Section::Dev, Section::Build] {
            text = manifest::release(path, &text, section, name)?.unwrap_or(text);
        }
        text = without_declaration(tree, path, &text, name)?.unwrap_or(text);
    }
    Ok(text)
}

/// The manifest without a declaration, where it is certain that it is neither the user's nor of use: it stands as it was written,
/// and no other line of any manifest has the name.
fn without_declaration(tree: &mut Tree<'_>, path: &ProjectPath, text: &str, name: &str) -> Result<Option<String>> {
    let line = manifest::declaration(path, text, name)?;
    if !line.is_some_and(|line| tree.lock().has_declared(name, &line)) {
        // From now on it is the user's.
        tree.lock_mut().project.declared.remove(name);
        return Ok(None);
    }
    if manifest::has_members_outside(path, text)? {
        return Ok(None);
    }
    let without = manifest::release_declaration(path, text, name)?.filter(|without| !without.contains(name));
    let Some(without) = without else { return Ok(None) };
    for file in tree.project().files()? {
        let is_other = file.path.file_name() == MANIFEST && file.path != *path;
        if is_other && tree.read(&file.path)?.is_some_and(|content| String::from_utf8_lossy(&content).contains(name)) {
            return Ok(None);
        }
    }
    tree.lock_mut().project.declared.remove(name);
    Ok(Some(without))
}

/// The entry of the plugin `type/name`.
fn listed(text: &str, plugin: &str) -> Option<plugins_json::Entry> {
    let document: JsonValue = serde_json::from_str(text).ok()?;
    let found = document["plugins"].as_array()?.iter().find(|there| {
        let field = |key: &str| there[key].as_str();
        field("type").zip(field("name")).is_some_and(|(kind, name)| format!("{kind}/{name}") == plugin)
    })?;
    let field = |key: &str| Some(found[key].as_str()?.to_owned());
    Some(plugins_json::Entry {
        kind: field("type")?,
        name: field("name")?,
        component: field("component")?,
        component_version: field("component_version")?,
        path: field("path")?,
    })
}
