//! What became of the files that components made.

use crate::{
    manifest::{self, Section},
    merge, plugins_json,
    project::{Installed, Lock, LockedEdit, LockedFile, Project, ProjectPath, Sha256, Tree},
    region,
    update::{self, Pending},
};
use mlx_core::{Diagnostic, Error, JsonValue, Result, diagnostics::Code, json};
use semver::Version;
use similar::TextDiff;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// What became of a file since it was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It is as it was generated, but for what other components put into its regions.
    Pristine,
    /// It was changed by hand.
    Edited,
    /// It was moved by hand, perhaps edited too.
    Moved {
        /// Where it is now.
        to: ProjectPath,
        /// Whether it was changed.
        edited: bool,
    },
    /// It was deleted.
    Missing,
}

impl FileState {
    /// `pristine`, `edited`, `moved` or `missing`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            FileState::Pristine => "pristine",
            FileState::Edited => "edited",
            FileState::Moved { .. } => "moved",
            FileState::Missing => "missing",
        }
    }
}

/// A file that a component made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// Where it was made.
    pub path: ProjectPath,
    /// What became of it.
    pub state: FileState,
    /// The version of the component that it is of.
    pub version: Version,
    /// Whether it stayed at an earlier version than its component.
    pub behind: bool,
}

/// A component or plugin of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentStatus {
    /// Its name; of a plugin, `component (type/name)`.
    pub id: String,
    /// Its version in the project.
    pub version: Version,
    /// The version of the catalogue, if that is another.
    pub available: Option<Version>,
    /// Whether the catalogue has other templates under the same version.
    pub changed: bool,
    /// Its files.
    pub files: Vec<FileStatus>,
}

/// What is in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The components, in the order of the lock.
    pub components: Vec<ComponentStatus>,
    /// Files that no component made.
    pub foreign: Vec<ProjectPath>,
    /// Files in which an update left conflicts.
    pub conflicts: Vec<ProjectPath>,
}

/// Looks at a project. `available` gives the version of a component in the catalogue.
///
/// # Errors
/// As of [`Project::read`] and [`Project::files`].
pub fn status(project: &Project, available: impl Fn(&Installed) -> Option<Version>) -> Result<Status> {
    let tree = project.tree();
    let mut located = locate(&tree)?;
    let mut own: BTreeSet<ProjectPath> = BTreeSet::new();
    let mut components = Vec::new();
    for installed in &project.lock().components {
        let mut files = Vec::new();
        for file in &installed.files {
            let Some(found) = located.remove(&file.path) else { continue };
            own.extend([file.path.clone(), found.path().clone()]);
            let behind = file.version < installed.version;
            files.push(FileStatus {
                path: file.path.clone(),
                state: found.state(project.lock()),
                version: file.version.clone(),
                behind,
            });
        }
        components.push(ComponentStatus {
            id: installed.id(),
            version: installed.version.clone(),
            available: available(installed).filter(|version| *version != installed.version),
            changed: false,
            files,
        });
    }
    let made = |path: &ProjectPath| own.contains(path) || made_by_mlx(path);
    let foreign = project.files()?.into_iter().map(|file| file.path).filter(|path| !made(path)).collect();
    let conflicts = Pending::of(project)?.map(|pending| pending.conflicts().to_vec()).unwrap_or_default();
    Ok(Status { components, foreign, conflicts })
}

fn made_by_mlx(path: &ProjectPath) -> bool {
    [crate::project::LOCK_FILE, plugins_json::FILE, "Cargo.lock"].contains(&path.as_str())
}

impl Status {
    /// Whether everything is there, of the version of the catalogue, and without conflicts. What was changed by hand is in
    /// order.
    pub fn is_current(&self) -> bool {
        let current = |component: &ComponentStatus| {
            let files = &component.files;
            component.available.is_none()
                && !component.changed
                && files.iter().all(|file| !file.behind && file.state != FileState::Missing)
        };
        self.conflicts.is_empty() && self.components.iter().all(current)
    }

    /// The status as JSON.
    pub fn to_json(&self) -> JsonValue {
        let file = |file: &FileStatus| {
            let (to, edited) = match &file.state {
                FileState::Moved { to, edited } => (Some(to.as_str()), *edited),
                other => (None, *other == FileState::Edited),
            };
            json!({
                "path": file.path, "state": file.state.as_str(), "to": to, "edited": edited,
                "version": file.version.to_string(), "behind": file.behind,
            })
        };
        let component = |component: &ComponentStatus| {
            json!({
                "component": component.id,
                "version": component.version.to_string(),
                "available": component.available.as_ref().map(Version::to_string),
                "changed": component.changed,
                "files": component.files.iter().map(file).collect::<Vec<_>>(),
            })
        };
        json!({
            "current": self.is_current(),
            "components": self.components.iter().map(component).collect::<Vec<_>>(),
            "foreign": self.foreign,
            "conflicts": self.conflicts,
        })
    }
}

/// What was changed by hand in the files of the components that are `wanted`, as a unified diff from what was generated, with
/// what components put into regions.
///
/// # Errors
/// [`Code::BaseLost`] where it is not known any more what was generated; as of [`Project::read`] and [`Project::files`].
pub fn diff(project: &Project, wanted: impl Fn(&Installed) -> bool) -> Result<String> {
    let mut text = String::new();
    let mut lost = Vec::new();
    let mut located = locate(&project.tree())?;
    for file in project.lock().components.iter().filter(|installed| wanted(installed)).flat_map(|i| &i.files) {
        let path = &file.path;
        let Some(found) = located.remove(path) else { continue };
        if found.is_unchanged(project.lock()) && !found.was_moved() {
            continue;
        }
        let Some(base) = found.base.as_deref() else {
            lost.push(path);
            continue;
        };
        let from = format!("a/{path}");
        let to = found.content.as_ref().map_or("/dev/null".to_owned(), |_| format!("b/{}", found.path()));
        let now = found.content.as_deref().unwrap_or_default();
        let (base, now) = with_entries(project.lock(), found.target(), base, now);
        let now = match path.as_str() {
            update::MANIFEST => without_crates(project.lock(), path, &now, &base),
            _ => now,
        };
        if found.was_moved() {
            let _ = write!(text, "diff --git {from} {to}\nrename from {path}\nrename to {}\n", found.path());
        }
        match (std::str::from_utf8(&base), std::str::from_utf8(&now)) {
            (Ok(base), Ok(now)) => {
                let diff = TextDiff::from_lines(base, now);
                text.push_str(&diff.unified_diff().header(&from, &to).to_string());
            }
            _ => {
                let _ = writeln!(text, "Binary files {from} and {to} differ");
            }
        }
    }
    match lost_renders(&lost) {
        Some(found) => Err(Error::from_diagnostics("the project", vec![found])),
        None => Ok(text),
    }
}

/// The files of which it is not known any more what was generated, as one problem; `None` if there is none.
///
/// # Errors
/// As of [`Project::read`].
pub fn lost(project: &Project) -> Result<Option<Diagnostic>> {
    let mut lost = Vec::new();
    for file in project.lock().components.iter().flat_map(|installed| &installed.files) {
        if !has_base(project, &file.base)? {
            lost.push(&file.path);
        }
    }
    Ok(lost_renders(&lost))
}

/// Whether the pristine render of this hash is there and whole.
pub(crate) fn has_base(project: &Project, base: &Sha256) -> Result<bool> {
    Ok(project.read(&ProjectPath::base(base))?.is_some_and(|content| Sha256::of(content) == *base))
}

fn lost_renders(lost: &[&ProjectPath]) -> Option<Diagnostic> {
    const SHOWN: usize = 3;
    let named: Vec<String> = lost.iter().take(SHOWN).map(|path| format!("`{path}`")).collect();
    let message = match lost.len() {
        0 => return None,
        1 => format!("the pristine render of {} is lost from `.mlx/base`, or was changed", named[0]),
        n => {
            let more = if n > SHOWN { format!(" and {} more", n - SHOWN) } else { String::new() };
            let named = named.join(", ");
            format!("the pristine render of each of {n} files is lost from `.mlx/base`, or was changed: {named}{more}")
        }
    };
    Some(
        Diagnostic::error(Code::BaseLost, message)
            .help("without it, nothing can tell what was changed by hand, and no update can be merged")
            .help("restore `.mlx/base` from version control; without that, `mlx update` renders again what the catalogue still has in the same version"),
    )
}

/// Recomputes every hash that the lock names, without the catalogue: that the pristine renders are there and whole, that the
/// regions can be read, and that no conflict is left. Empty when all is in order. That a file, or an entry in a region, was
/// changed by hand is in order: [`status`] says so.
///
/// # Errors
/// As of [`Project::read`].
pub fn verify(project: &Project) -> Result<Vec<Diagnostic>> {
    let tree = project.tree();
    let lock = project.lock();
    let mut found = Vec::new();
    found.extend(lost(project)?);
    for edit in lock.components.iter().flat_map(|installed| &installed.edits) {
        let file = lock.place(&edit.file);
        let text = tree.read_text(&file)?.unwrap_or_default();
        // A region that cannot be read stops every command that has to change it.
        let faults = region::contains(&file, &text, &edit.region, &edit.text).err();
        for fault in faults.iter().flat_map(Error::diagnostics) {
            if !found.iter().any(|known: &Diagnostic| known.message == fault.message) {
                found.push(fault.clone());
            }
        }
    }
    if let Some(pending) = Pending::of(project)? {
        for path in pending.left(project)? {
            let message = format!("`{path}` has conflicts that an update left");
            found.push(
                Diagnostic::error(Code::ConflictsLeft, message).help("resolve them, then run `mlx update --continue`"),
            );
        }
    }
    Ok(found)
}

/// A file of the lock, and what is there of it.
#[derive(Debug)]
pub(crate) struct Located {
    at: ProjectPath,
    target: ProjectPath,
    moved: Option<ProjectPath>,
    /// What is there; nothing of a file that was deleted.
    pub(crate) content: Option<Vec<u8>>,
    /// The pristine render; nothing if that was lost.
    pub(crate) base: Option<Vec<u8>>,
    pristine: bool,
}

impl Located {
    /// Where the file is, or was.
    pub(crate) fn path(&self) -> &ProjectPath {
        self.moved.as_ref().unwrap_or(&self.at)
    }

    /// Where the lock had it.
    pub(crate) fn at(&self) -> &ProjectPath {
        &self.at
    }

    /// Where the template puts it.
    pub(crate) fn target(&self) -> &ProjectPath {
        &self.target
    }

    pub(crate) fn was_moved(&self) -> bool {
        self.moved.is_some()
    }

    pub(crate) fn is_pristine(&self) -> bool {
        self.pristine
    }

    /// Whether it is pristine, and what components put into its regions is there as they put it.
    fn is_unchanged(&self, lock: &Lock) -> bool {
        let Some(text) = self.content.as_deref().filter(|_| self.pristine).map(String::from_utf8_lossy) else {
            return false;
        };
        let mut edits = entries_of(lock, &self.target);
        edits.all(|edit| region::contains(&self.target, &text, &edit.region, &edit.text).unwrap_or(false))
    }

    fn state(&self, lock: &Lock) -> FileState {
        match (&self.moved, &self.content) {
            (Some(to), _) => FileState::Moved { to: to.clone(), edited: !self.is_unchanged(lock) },
            (None, None) => FileState::Missing,
            (None, Some(_)) if self.is_unchanged(lock) => FileState::Pristine,
            (None, Some(_)) => FileState::Edited,
        }
    }
}

/// Finds the files of the lock, by the path that the lock has for them. Those that are not there are looked for among the files
/// that no component made.
pub(crate) fn locate(tree: &Tree<'_>) -> Result<BTreeMap<ProjectPath, Located>> {
    let lock = tree.lock();
    let mut located = BTreeMap::new();
    for file in lock.components.iter().flat_map(|installed| &installed.files) {
        let content = tree.read(&file.path)?;
        let whole = content.clone().filter(|content| Sha256::of(content) == file.base);
        let base = tree.base(&file.base)?.or(whole);
        let pristine = content.as_deref().is_some_and(|content| is_pristine(lock, file, content, base.as_deref()));
        let (at, target) = (file.path.clone(), file.target().clone());
        located.insert(file.path.clone(), Located { at, target, moved: None, content, base, pristine });
    }
    let missing: Vec<(&str, &[u8])> = located
        .values()
        .filter(|file| file.content.is_none())
        .filter_map(|file| Some((file.at.as_str(), file.base.as_deref()?)))
        .collect();
    if missing.is_empty() {
        return Ok(located);
    }
    let owned: BTreeSet<&ProjectPath> = lock.components.iter().flat_map(|i| &i.files).map(|file| &file.path).collect();
    let mut candidates = Vec::new();
    for found in tree.project().files()? {
        // Two texts are similar only if neither is more than twice as long as the other; line ends may differ.
        let near = |base: &[u8]| (base.len() as u64) < 3 * (found.size + 1) && found.size < 3 * (base.len() as u64 + 1);
        let possible = !owned.contains(&found.path) && !made_by_mlx(&found.path);
        if possible && missing.iter().any(|(_, base)| near(base)) {
            candidates.extend(tree.read(&found.path)?.map(|content| (found.path, content)));
        }
    }
    let contents: Vec<(&str, &[u8])> =
        candidates.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    let moved: Vec<(ProjectPath, ProjectPath)> = merge::renames(&missing, &contents)
        .into_iter()
        .map(|(from, to)| Ok((ProjectPath::new(from)?, ProjectPath::new(to)?)))
        .collect::<Result<_>>()?;
    for (from, to) in moved {
        let Some(file) = located.get_mut(&from) else { continue };
        let content = candidates.iter().find(|(path, _)| *path == to).map(|(_, content)| content.clone());
        let pair = content.as_deref().zip(file.base.as_deref());
        file.pristine = pair
            .is_some_and(|(is, was)| same_text(is, was) || same_text(&without_entries(lock, &file.target, is), was));
        file.moved = Some(to);
        file.content = content;
    }
    Ok(located)
}

/// Has the lock know where files are that the user moved, and gives the files by the path that it has for them now.
pub(crate) fn follow(tree: &mut Tree<'_>, located: BTreeMap<ProjectPath, Located>) -> BTreeMap<ProjectPath, Located> {
    for file in tree.lock_mut().components.iter_mut().flat_map(|installed| &mut installed.files) {
        if let Some(to) = located.get(&file.path).and_then(|found| found.moved.clone()) {
            let target = file.target().clone();
            file.target = (target != to).then_some(target);
            file.path = to;
        }
    }
    located.into_values().map(|found| (found.path().clone(), found)).collect()
}

/// Whether a file is as it was generated, but for line ends, which a checkout may change, and for what components put into it.
fn is_pristine(lock: &Lock, file: &LockedFile, content: &[u8], base: Option<&[u8]>) -> bool {
    if Sha256::of(content) == file.base {
        return true;
    }
    let Some(base) = base else { return false };
    if same_text(content, base) {
        return true;
    }
    let without = without_entries(lock, file.target(), content);
    match file.path.as_str() {
        update::MANIFEST => same_text(&without_crates(lock, &file.path, &without, base), base),
        plugins_json::FILE => {
            let plugins = lock.components.iter().flat_map(|installed| &installed.plugins);
            let unlisted = plugins
                .filter_map(|plugin| plugin.split_once('/'))
                .try_fold(String::from_utf8_lossy(&without).into_owned(), |text, (kind, name)| {
                    plugins_json::remove(&text, kind, name)
                });
            let json = |text: &[u8]| serde_json::from_slice::<JsonValue>(text).ok();
            unlisted.is_ok_and(|text| json(text.as_bytes()).is_some_and(|is| json(base) == Some(is)))
        }
        _ => same_text(&without, base),
    }
}

/// A manifest without the crates that components put into it, but for those that it was generated with.
fn without_crates(lock: &Lock, path: &ProjectPath, content: &[u8], base: &[u8]) -> Vec<u8> {
    let (Ok(mut text), Ok(base)) = (String::from_utf8(content.to_vec()), std::str::from_utf8(base)) else {
        return content.to_vec();
    };
    let crates: BTreeSet<&String> = lock.components.iter().flat_map(|installed| &installed.dependencies).collect();
    for name in &crates {
        for section in [Section::Normal, Section::Dev, Section::Build] {
            // What is no TOML is the user's.
            if let (Ok(Some(without)), Ok(None)) =
                (manifest::release(path, &text, section, name), manifest::release(path, base, section, name))
            {
                text = without;
            }
        }
    }
    // A declaration for all packages may have stayed because one of the user's uses it.
    let declared = lock.project.declared.keys().filter(|name| {
        let line = manifest::declaration(path, &text, name).ok().flatten();
        line.is_some_and(|line| lock.has_declared(name, &line))
    });
    let shared: BTreeSet<&String> = crates.into_iter().chain(declared).collect();
    without_shared(&text, base, &shared).unwrap_or(text).into_bytes()
}

/// A manifest without what crates leave when they are taken out: the versions for all packages, and tables that held nothing else.
fn without_shared(text: &str, base: &str, crates: &BTreeSet<&String>) -> Option<String> {
    let mut document: toml_edit::DocumentMut = text.parse().ok()?;
    let base: toml_edit::DocumentMut = base.parse().ok()?;
    let shared = |document: &toml_edit::DocumentMut, name: &str| {
        document.get("workspace")?.get("dependencies")?.get(name).map(|_| ())
    };
    for name in crates.iter().filter(|name| shared(&base, name).is_none()) {
        if let Some(table) = document.get_mut("workspace").and_then(|item| item.get_mut("dependencies")) {
            table.as_table_like_mut().and_then(|table| table.remove(name));
        }
    }
    let is_empty = |table: &dyn toml_edit::TableLike| table.is_empty();
    let declarations = |document: &toml_edit::DocumentMut| document.get("workspace")?.get("dependencies").cloned();
    if declarations(&base).is_none()
        && declarations(&document).as_ref().and_then(toml_edit::Item::as_table_like).is_some_and(is_empty)
    {
        document.get_mut("workspace")?.as_table_like_mut()?.remove("dependencies");
    }
    for section in [Section::Normal, Section::Dev, Section::Build] {
        let key = section.key();
        if base.get(key).is_none() && document.get(key).and_then(|item| item.as_table_like()).is_some_and(is_empty) {
            document.remove(key);
        }
    }
    Some(document.to_string())
}

fn same_text(a: &[u8], b: &[u8]) -> bool {
    let bytes = |text: &[u8]| text.iter().copied().filter(|&byte| byte != b'\r').collect::<Vec<_>>();
    a == b || bytes(a) == bytes(b)
}

/// What components put into the regions of the file that a template puts at `target`.
fn entries_of<'l>(lock: &'l Lock, target: &ProjectPath) -> impl Iterator<Item = &'l LockedEdit> {
    lock.components.iter().flat_map(|installed| &installed.edits).filter(move |edit| edit.file == *target)
}

/// The pristine render with what components put into its regions, in the order that it has in the file; beside it the file,
/// without the entries of regions that the render does not have.
fn with_entries(lock: &Lock, target: &ProjectPath, base: &[u8], now: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (Ok(mut base), Ok(mut now)) = (String::from_utf8(base.to_vec()), String::from_utf8(now.to_vec())) else {
        return (base.to_vec(), now.to_vec());
    };
    let edits: Vec<&LockedEdit> = entries_of(lock, target).collect();
    let place = |edit: &LockedEdit| {
        let others: Vec<&str> = edits
            .iter()
            .filter(|other| other.region == edit.region && other.text != edit.text)
            .map(|other| other.text.as_str())
            .collect();
        region::place(target, &now, &edit.region, &edit.text, &others).ok().flatten().unwrap_or(usize::MAX)
    };
    let mut ordered: Vec<(usize, &LockedEdit)> = edits.iter().map(|edit| (place(edit), *edit)).collect();
    ordered.sort_by_key(|(place, _)| *place);
    for (_, edit) in ordered {
        match region::insert(target, &base, &edit.region, &edit.text) {
            Ok(inserted) => base = inserted.unwrap_or(base),
            Err(_) => now = region::remove(target, &now, &edit.region, &edit.text).ok().flatten().unwrap_or(now),
        }
    }
    (base.into_bytes(), now.into_bytes())
}

/// The content of the file that a template puts at `target`, without what components put into its regions.
pub(crate) fn without_entries(lock: &Lock, target: &ProjectPath, content: &[u8]) -> Vec<u8> {
    let Ok(mut text) = String::from_utf8(content.to_vec()) else { return content.to_vec() };
    for edit in entries_of(lock, target) {
        // A region that the user broke has no entries.
        if let Ok(Some(without)) = region::remove(target, &text, &edit.region, &edit.text) {
            text = without;
        }
    }
    text.into_bytes()
}
