//! Making a project what a plan says: everything or nothing.
//!
//! 1. The project is locked, and every file is compared with the hash that the plan was made on.
//! 2. All new contents are written into `.mlx/tmp`.
//! 3. The *journal* says what is to become of which file. It is synchronised with the disk and put into place with one
//!    rename: from there on the change happens.
//! 4. Files are renamed into place; what they replace is kept in `.mlx/tmp`.
//! 5. The journal is removed: the change has happened. What was kept is removed.
//!
//! A step that fails undoes everything. After a crash, [`recover`] finishes what the journal says, or undoes it where a
//! staged content was lost. Either way it first looks at all files, and does nothing where it would overwrite something that
//! is neither the old content nor the new one.

mod disk;
mod journal;
mod lock;

pub use disk::{NoFaults, Step, Steps};

use crate::{
    plan::{Action, Plan},
    project::{LOCK_FILE, Project, ProjectPath, Sha256, read_file, unsafe_path},
};
use cap_std::{ambient_authority, fs::Dir};
use disk::Disk;
use journal::{Change, Journal};
use lock::ProjectLock;
use mlx_core::{Context, Diagnostic, Error, Result, diagnostics::Code};
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

/// What the command keeps for itself.
const HOME: &str = ".mlx";
/// New contents, and what they replace.
const STAGE: &str = ".mlx/tmp";
/// A change that is to be finished.
const JOURNAL: &str = ".mlx/journal";
/// A journal that is not in force yet.
const DRAFT: &str = ".mlx/journal-draft";
/// A change that is to be undone.
const UNDO: &str = ".mlx/undo";

/// What [`apply`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// How many files were created, changed, moved or removed.
    pub operations: usize,
}

/// What [`recover`] did with an interrupted change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The project's folder.
    pub root: PathBuf,
    /// The command that was interrupted.
    pub command: String,
    /// Whether its change was finished; otherwise it was undone.
    pub finished: bool,
}

/// Does what the plan says, all of it or nothing.
///
/// # Errors
/// [`Code::Stale`] when a file is not what the plan was made on, with all such files; [`Code::UpdatePending`] while an update has
/// conflicts, unless the plan ends that; [`Code::Busy`] when another process
/// works on the project; [`Code::Unrecovered`] after an interrupted change; [`Code::UnsafePath`]; a failure of the file system,
/// after which the project is as before.
pub fn apply(project: &Project, plan: &Plan) -> Result<Applied> {
    apply_with(project, plan, &mut NoFaults)
}

/// [`apply`], with something that sees every step before it is taken.
///
/// # Errors
/// As of [`apply`], and what `steps` fails with.
pub fn apply_with(project: &Project, plan: &Plan, steps: &mut dyn Steps) -> Result<Applied> {
    plan.check()?;
    if plan.project != project.lock().project.name {
        let message =
            format!("the plan is of the project `{}`, this is `{}`", plan.project, project.lock().project.name);
        return Err(Error::from_diagnostics("the plan", vec![Diagnostic::error(Code::BadPlan, message)]));
    }
    if !plan.operations.iter().any(|operation| operation.path == ProjectPath::pending()) {
        crate::update::check_settled(project)?;
    }
    let applied = Applied { operations: plan.operations.len() };
    if plan.is_empty() {
        return Ok(applied);
    }
    let opened;
    let (dir, new_root) = match project.dir() {
        Some(dir) => (dir, false),
        None => {
            steps.before(&Step::CreateFolder(project.root()))?;
            std::fs::create_dir_all(project.root()).with_context(|| format!("making {}", project.root().display()))?;
            opened = Dir::open_ambient_dir(project.root(), ambient_authority()).context("opening the new project")?;
            (&opened, true)
        }
    };
    let done = transact(&mut Disk { dir, steps }, project.root(), plan);
    if done.is_err() && new_root {
        // Only what is empty goes.
        for left in [".mlx/lock", HOME] {
            let _ = dir.remove_file(left).or_else(|_| dir.remove_dir(left));
        }
        let _ = std::fs::remove_dir(project.root());
    }
    done.map(|()| applied)
}

fn transact(disk: &mut Disk<'_>, root: &Path, plan: &Plan) -> Result<()> {
    let _lock = ProjectLock::take(disk, root, &plan.command)?;
    if interrupted(disk.dir) {
        return Err(unrecovered("an earlier command was interrupted".to_owned(), "run `mlx recover`"));
    }
    let changes = changes(plan);
    let folders = check_unchanged(disk.dir, plan, &changes)?;
    let staged = clear_stage(disk).and_then(|()| stage(disk, plan, changes, folders));
    let journal = match staged {
        Ok(journal) => journal,
        Err(error) => {
            // Nothing has happened yet.
            let _ = clear_stage(disk);
            return Err(error.context("preparing the change"));
        }
    };
    let finished = finish(disk, &journal).and_then(|()| Ok(disk.remove(JOURNAL)?));
    if let Err(error) = finished {
        let undone = disk.rename(JOURNAL, UNDO).map_err(Error::from).and_then(|()| undo(disk, &journal));
        return Err(match undone {
            Ok(()) => error.context("making the change; everything is as before"),
            Err(second) => {
                let message = format!("the change failed ({error:#}), and so did undoing it ({second:#})");
                unrecovered(message, "run `mlx recover`")
            }
        });
    }
    // What is left there harms nobody, and is removed by the next change.
    let _ = clear_stage(disk);
    Ok(())
}

/// Each file that is touched, moves being two of them.
fn changes(plan: &Plan) -> Vec<Change> {
    let mut changes = Vec::new();
    for operation in &plan.operations {
        let after = operation.after.as_ref().map(|content| content.sha256());
        match &operation.action {
            Action::Rename { from } => {
                changes.push(Change { path: from.clone(), before: operation.before, after: None });
                changes.push(Change { path: operation.path.clone(), before: None, after: after.or(operation.before) });
            }
            _ => changes.push(Change { path: operation.path.clone(), before: operation.before, after }),
        }
    }
    changes
}

/// All files are what the plan was made on, and all folders are folders. Gives those that are to be made, outer ones first.
fn check_unchanged(dir: &Dir, plan: &Plan, changes: &[Change]) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    let mut seen = BTreeSet::new();
    let mut missing = Vec::new();
    for change in changes {
        let found = hash(dir, &change.path)?;
        let message = match (found == change.before, found, change.before) {
            (true, ..) => None,
            (_, Some(_), None) => Some(format!("`{}` has appeared", change.path)),
            (_, None, _) => Some(format!("`{}` is gone", change.path)),
            (_, Some(_), Some(_)) => Some(format!("`{}` has changed", change.path)),
        };
        stale.extend(message.map(|message| Diagnostic::error(Code::Stale, message)));
        for folder in change.path.folders().filter(|folder| change.after.is_some() && seen.insert(*folder)) {
            let blocked = match dir.metadata(folder) {
                Ok(found) => !found.is_dir(),
                Err(_) => {
                    missing.push(folder.to_owned());
                    dir.symlink_metadata(folder).is_ok()
                }
            };
            if blocked {
                return Err(unsafe_path(&change.path, &format!("`{folder}` is not a folder")));
            }
        }
    }
    match stale.pop() {
        None => Ok(missing),
        Some(last) => {
            stale.push(last.help(format!("nothing was written: run `mlx {}` again", plan.command)));
            Err(Error::from_diagnostics("the project", stale))
        }
    }
}

fn hash(dir: &Dir, path: &ProjectPath) -> Result<Option<Sha256>> {
    match read_file(dir, path.as_path()) {
        Ok(content) => Ok(content.map(Sha256::of)),
        Err(e) if e.raw_os_error().is_none() => Err(unsafe_path(path, &e.to_string())),
        Err(e) => Err(Error::from(e).context(format!("reading {path}"))),
    }
}

fn staged_new(index: usize) -> String {
    format!("{STAGE}/new-{index}")
}

fn staged_old(index: usize) -> String {
    format!("{STAGE}/old-{index}")
}

/// Writes all new contents, and then the journal.
fn stage(disk: &mut Disk<'_>, plan: &Plan, changes: Vec<Change>, folders: Vec<String>) -> Result<Journal> {
    disk.create_folder(STAGE)?;
    let mut index = 0;
    for operation in &plan.operations {
        if let Action::Rename { from } = &operation.action {
            index += 1;
            let content = match &operation.after {
                Some(content) => content.bytes().to_vec(),
                None => read_file(disk.dir, from.as_path())?.unwrap_or_default(),
            };
            disk.write(&staged_new(index), &content)?;
            disk.copy_permissions(from.as_str(), &staged_new(index))?;
        } else if let Some(content) = &operation.after {
            disk.write(&staged_new(index), content.bytes())?;
            if operation.before.is_some() {
                disk.copy_permissions(operation.path.as_str(), &staged_new(index))?;
            }
        }
        index += 1;
    }
    let journal = Journal::new(&plan.command, folders, changes);
    disk.write_synced(DRAFT, &journal.to_bytes()?)?;
    disk.rename(DRAFT, JOURNAL)?;
    Ok(journal)
}

/// Brings every file to its new content. What is done already is left alone.
fn finish(disk: &mut Disk<'_>, journal: &Journal) -> Result<()> {
    for folder in &journal.folders {
        disk.create_folder(folder)?;
    }
    for (index, change) in journal.changes.iter().enumerate() {
        let found = hash(disk.dir, &change.path)?;
        if found == change.after {
            continue;
        }
        if found.is_some() && found != change.before {
            return Err(overwritten(&change.path));
        }
        let path = change.path.as_str();
        match (found, change.after) {
            (Some(_), None) => disk.rename(path, &staged_old(index))?,
            (Some(_), Some(_)) => {
                disk.link(path, &staged_old(index))?;
                disk.rename(&staged_new(index), path)?;
            }
            (None, Some(_)) => disk.rename(&staged_new(index), path)?,
            (None, None) => {}
        }
    }
    for change in journal.changes.iter().filter(|change| change.after.is_none()) {
        let folders: Vec<&str> = change.path.folders().collect();
        for folder in folders.into_iter().rev() {
            if !disk.remove_folder_if_empty(folder)? {
                break;
            }
        }
    }
    Ok(())
}

/// Brings every file back to its old content, and removes the journal and what was staged.
fn undo(disk: &mut Disk<'_>, journal: &Journal) -> Result<()> {
    for (index, change) in journal.changes.iter().enumerate() {
        let found = hash(disk.dir, &change.path)?;
        if found == change.before {
            continue;
        }
        if found.is_some() && found != change.after {
            return Err(overwritten(&change.path));
        }
        match change.before {
            Some(_) => {
                for folder in change.path.folders() {
                    disk.create_folder(folder)?;
                }
                disk.rename(&staged_old(index), change.path.as_str())?;
            }
            None => disk.remove(change.path.as_str())?,
        }
    }
    for folder in journal.folders.iter().rev() {
        disk.remove_folder_if_empty(folder)?;
    }
    disk.remove(UNDO)?;
    let _ = clear_stage(disk);
    Ok(())
}

fn overwritten(path: &ProjectPath) -> Error {
    unrecovered(
        format!("`{path}` was changed while the change was made, and would be overwritten"),
        "move the file aside, then run `mlx recover`",
    )
}

fn unrecovered(message: String, help: &str) -> Error {
    Error::from_diagnostics("the project", vec![Diagnostic::error(Code::Unrecovered, message).help(help)])
}

fn clear_stage(disk: &mut Disk<'_>) -> Result<()> {
    if disk.dir.symlink_metadata(DRAFT).is_ok() {
        disk.remove(DRAFT)?;
    }
    match disk.dir.symlink_metadata(STAGE) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(found) if found.is_dir() => {}
        _ => return Err(unrecovered(format!("`{STAGE}` is not a folder"), "remove it")),
    }
    for entry in disk.dir.read_dir(STAGE).context("clearing .mlx/tmp")? {
        let name = entry.context("clearing .mlx/tmp")?.file_name();
        disk.remove(&format!("{STAGE}/{}", name.to_string_lossy()))?;
    }
    Ok(disk.remove_folder(STAGE)?)
}

/// Whether a change was begun in this folder that is neither finished nor undone.
pub(crate) fn interrupted(dir: &Dir) -> bool {
    [JOURNAL, UNDO].iter().any(|journal| dir.symlink_metadata(journal).is_ok())
}

/// Whether a command was interrupted in this folder, or is at work in it.
pub(crate) fn has_traces(folder: &Path) -> bool {
    [JOURNAL, UNDO, DRAFT, STAGE].iter().any(|mark| folder.join(mark).symlink_metadata().is_ok())
}

/// Finishes or undoes what an interrupted command left, in the project that `from` lies in. Every command that writes does
/// this first. `None` when there is nothing to do.
///
/// # Errors
/// [`Code::Unrecovered`] when neither is possible without overwriting something, naming the files; nothing is touched then.
/// [`Code::Busy`]; a failure of the file system, after which it can be called again.
pub fn recover(from: &Path) -> Result<Option<Recovered>> {
    recover_with(from, &mut NoFaults)
}

/// [`recover`], with something that sees every step before it is taken.
///
/// # Errors
/// As of [`recover`], and what `steps` fails with.
pub fn recover_with(from: &Path, steps: &mut dyn Steps) -> Result<Option<Recovered>> {
    let from = std::path::absolute(from).context("recovering the project")?;
    // A new project has no lock before it is finished.
    let is_root = |folder: &&Path| folder.join(LOCK_FILE).symlink_metadata().is_ok() || has_traces(folder);
    let Some(root) = from.ancestors().find(is_root) else { return Ok(None) };
    let dir =
        Dir::open_ambient_dir(root, ambient_authority()).with_context(|| format!("opening {}", root.display()))?;
    let stale = dir.symlink_metadata(STAGE).is_ok() || dir.symlink_metadata(DRAFT).is_ok();
    if !interrupted(&dir) && !stale {
        return Ok(None);
    }
    let mut disk = Disk { dir: &dir, steps };
    let _lock = ProjectLock::take(&mut disk, root, "recover")?;
    let undoing = dir.symlink_metadata(UNDO).is_ok();
    let name = if undoing { UNDO } else { JOURNAL };
    let Some(bytes) = read_file(&dir, Path::new(name)).with_context(|| format!("reading {name}"))? else {
        // It was never in force, or has been dealt with.
        clear_stage(&mut disk)?;
        return Ok(None);
    };
    let journal = Journal::parse(&bytes)?;
    let finished = !undoing && can(&dir, &journal, Direction::Finish)?.is_empty();
    if finished {
        finish(&mut disk, &journal)?;
        disk.remove(JOURNAL)?;
        let _ = clear_stage(&mut disk);
    } else {
        let blocked = can(&dir, &journal, Direction::Undo)?;
        if !blocked.is_empty() {
            let found = blocked.into_iter().map(|path| {
                Diagnostic::error(
                    Code::Unrecovered,
                    format!("`{path}` is neither what it was nor what it was to become"),
                )
                .help("move the file aside, then run `mlx recover`")
            });
            return Err(Error::from_diagnostics("the interrupted change", found.collect()));
        }
        if !undoing {
            disk.rename(JOURNAL, UNDO)?;
        }
        undo(&mut disk, &journal)?;
    }
    Ok(Some(Recovered { root: root.to_owned(), command: journal.command, finished }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Finish,
    Undo,
}

/// The files that stand in the way of finishing, or of undoing: they hold something else, or what they need was lost.
fn can<'j>(dir: &Dir, journal: &'j Journal, direction: Direction) -> Result<Vec<&'j ProjectPath>> {
    let mut blocked = Vec::new();
    for (index, change) in journal.changes.iter().enumerate() {
        let (from, to, staged) = match direction {
            Direction::Finish => (change.before, change.after, staged_new(index)),
            Direction::Undo => (change.after, change.before, staged_old(index)),
        };
        let found = hash(dir, &change.path)?;
        let there = || read_file(dir, Path::new(&staged)).is_ok_and(|content| content.map(Sha256::of) == to);
        let ready = found == to || ((found == from || found.is_none()) && (to.is_none() || there()));
        if !ready {
            blocked.push(&change.path);
        }
    }
    Ok(blocked)
}
