//! A project: its folder, what `mlx.lock` says of it, and what it would be.

mod lock;
mod path;
mod sha256;
mod tree;
mod walk;

pub use lock::{Installed, Lock, LockedEdit, LockedFile, MlxSource, ProjectInfo};
pub use path::ProjectPath;
pub use sha256::Sha256;
pub use tree::Tree;
pub use walk::Found;

use cap_std::{ambient_authority, fs::Dir};
use mlx_core::{
    Context, Diagnostic, Error, ErrorKind, Result,
    diagnostics::{Code, quoted},
};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The file that makes a folder a project.
pub const LOCK_FILE: &str = "mlx.lock";

/// The most bytes of a file that is read.
const LARGEST: u64 = 64 << 20;

/// A project folder. All its files are reached through one handle of the folder, which nothing leaves: neither `..` nor a
/// symbolic link.
#[derive(Debug)]
pub struct Project {
    root: PathBuf,
    /// `None` as long as the folder does not exist: a new project that has not been written yet.
    dir: Option<Dir>,
    lock: Lock,
    found_below: bool,
}

impl Project {
    /// Finds the project that `from` lies in: the nearest folder upwards that has a `mlx.lock`. Where there is none, it is
    /// the one folder in `from` that has one, if it is the only one.
    ///
    /// # Errors
    /// [`Code::NoProject`] when there is none, or several below; those of [`open`](Project::open).
    pub fn find(from: &Path) -> Result<Self> {
        let from = std::path::absolute(from).context("finding the project")?;
        let has_lock = |folder: &Path| folder.join(LOCK_FILE).symlink_metadata().is_ok();
        if let Some(root) = from.ancestors().find(|folder| has_lock(folder)) {
            return Project::open(root);
        }
        let mut below: Vec<PathBuf> = match from.read_dir() {
            Ok(entries) => entries.filter_map(|e| Some(e.ok()?.path())).filter(|folder| has_lock(folder)).collect(),
            Err(_) => Vec::new(),
        };
        below.sort();
        if let [root] = &below[..] {
            return Ok(Project { found_below: true, ..Project::open(root)? });
        }
        let missing = Diagnostic::error(
            Code::NoProject,
            format!("neither `{}` nor a folder above it has a `mlx.lock`", from.display()),
        );
        let missing = match below.is_empty() {
            true => missing.help("make a project with `mlx init NAME`, or change to the folder of one"),
            false => {
                let names: Vec<_> = below.iter().filter_map(|p| p.file_name()?.to_str()).collect();
                missing.help(format!("change to one of {}", mlx_core::diagnostics::listing(names)))
            }
        };
        Err(Error::from_diagnostics("the folder", vec![missing]).with_kind(ErrorKind::NotFound))
    }

    /// Opens the project in this folder.
    ///
    /// # Errors
    /// [`Code::NoProject`] when there is no `mlx.lock`; [`Code::BadLock`] when it is malformed; [`Code::Unrecovered`] after an
    /// interrupted change; a failure of the file system.
    pub fn open(root: &Path) -> Result<Self> {
        let opening = || format!("opening the project in {}", root.display());
        let dir = Dir::open_ambient_dir(root, ambient_authority()).with_context(opening)?;
        if crate::apply::interrupted(&dir) {
            let found =
                Diagnostic::error(Code::Unrecovered, "a change of the project is under way, or was interrupted")
                    .help("wait until it has finished, or run `mlx recover`");
            return Err(Error::from_diagnostics("the project", vec![found]));
        }
        let text = read_file(&dir, Path::new(LOCK_FILE)).with_context(opening)?;
        let text = text.ok_or_else(|| {
            let message = format!("`{}` has no `mlx.lock`", root.display());
            Error::from_diagnostics("the project", vec![Diagnostic::error(Code::NoProject, message)])
        })?;
        let lock = Lock::parse(&String::from_utf8(text).context("reading mlx.lock")?)?;
        Ok(Project { root: root.to_owned(), dir: Some(dir), lock, found_below: false })
    }

    /// A project that is to be made in the folder `at`, which need not exist. Nothing is written before a plan is applied.
    ///
    /// # Errors
    /// [`Code::Occupied`] when there is a project, or something that is no folder; a failure of the file system.
    pub fn create(at: &Path, lock: Lock) -> Result<Self> {
        let root = std::path::absolute(at).context("making a project")?;
        let occupied = |message: String, help: &str| {
            let found = Diagnostic::error(Code::Occupied, message).help(help);
            Error::from_diagnostics("the new project", vec![found])
        };
        let dir = match root.metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => match root.symlink_metadata() {
                Ok(_) => {
                    let message = format!("{} is a symbolic link to nothing", quoted(&root.display().to_string()));
                    return Err(occupied(message, "remove it, or choose another folder"));
                }
                Err(_) => None,
            },
            Err(e) => return Err(Error::from(e).context(format!("making a project in {}", root.display()))),
            Ok(found) if !found.is_dir() => {
                let message = format!("{} is a file", quoted(&root.display().to_string()));
                return Err(occupied(message, "choose another folder"));
            }
            Ok(_) => {
                let dir = Dir::open_ambient_dir(&root, ambient_authority());
                Some(dir.with_context(|| format!("opening {}", root.display()))?)
            }
        };
        if dir.as_ref().is_some_and(|dir| dir.symlink_metadata(LOCK_FILE).is_ok()) {
            let message = format!("{} is a project already", quoted(&root.display().to_string()));
            return Err(occupied(message, "add components to it with `mlx add`"));
        }
        Ok(Project { root, dir, lock, found_below: false })
    }

    /// The project's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `mlx.lock` says, or will say of a new project.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Whether [`find`](Project::find) took the only project in a sub-folder, which the user should be told.
    pub fn found_below(&self) -> bool {
        self.found_below
    }

    /// What the project would be; so far, what it is.
    pub fn tree(&self) -> Tree<'_> {
        Tree::of(self)
    }

    /// The content of a file, `None` where there is none.
    ///
    /// # Errors
    /// [`Code::UnsafePath`] for what leads out of the project or is no file; a failure of the file system.
    pub fn read(&self, path: &ProjectPath) -> Result<Option<Vec<u8>>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        read_file(dir, path.as_path()).map_err(|e| unreadable(path, e))
    }

    /// Whether there is a file that can be read.
    pub(crate) fn has(&self, path: &ProjectPath) -> Result<bool> {
        let Some(dir) = &self.dir else { return Ok(false) };
        Ok(file_size(dir, path.as_path()).map_err(|e| unreadable(path, e))?.is_some())
    }

    pub(crate) fn dir(&self) -> Option<&Dir> {
        self.dir.as_ref()
    }
}

fn unreadable(path: &ProjectPath, error: io::Error) -> Error {
    // cap-std says so when a path leads out of the folder.
    let outside = error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none();
    match outside || error.kind() == io::ErrorKind::InvalidInput {
        true => unsafe_path(path, &error.to_string()),
        false => Error::from(error).context(format!("reading {path}")),
    }
}

pub(crate) fn unsafe_path(path: &ProjectPath, fault: &str) -> Error {
    Error::from_diagnostics("the project", vec![Diagnostic::error(Code::UnsafePath, format!("`{path}`: {fault}"))])
}

/// Reads a regular file below `dir`. A symbolic link is refused at the end of the path, and anywhere if it leads outside.
pub(crate) fn read_file(dir: &Dir, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(size) = file_size(dir, path)? else { return Ok(None) };
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    dir.open(path)?.take(LARGEST).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// The bytes of a regular file below `dir`, refused as by [`read_file`].
fn file_size(dir: &Dir, path: &Path) -> io::Result<Option<u64>> {
    let invalid = |message: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    let found = match dir.symlink_metadata(path) {
        Err(e) if is_absent(&e) => return Ok(None),
        other => other?,
    };
    if found.is_symlink() {
        return invalid("it is a symbolic link");
    }
    if !found.is_file() {
        return invalid("it is not a file");
    }
    if found.len() > LARGEST {
        return invalid("it is larger than 64 MiB");
    }
    Ok(Some(found.len()))
}

/// Nothing is there. Below a file there is nothing either.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn lock() -> Lock {
        Lock::new("shop", MlxSource::Path)
    }

    fn project_in(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(LOCK_FILE), lock().to_text().unwrap()).unwrap();
    }

    #[test]
    fn the_nearest_lock_upwards_is_the_project() {
        let temp = tempfile::tempdir().unwrap();
        project_in(temp.path());
        project_in(&temp.path().join("inner"));
        fs::create_dir_all(temp.path().join("inner/src/deep")).unwrap();
        let found = Project::find(&temp.path().join("inner/src/deep")).unwrap();
        assert_eq!((found.root(), found.found_below()), (temp.path().join("inner").as_path(), false));
    }

    #[test]
    fn the_only_project_below_is_found_and_of_two_none() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(Project::find(temp.path()).unwrap_err().diagnostics()[0].code, Code::NoProject);
        project_in(&temp.path().join("one"));
        assert!(Project::find(temp.path()).unwrap().found_below());
        project_in(&temp.path().join("two"));
        let error = Project::find(temp.path()).unwrap_err();
        assert!(format!("{error:?}").contains("`one`, `two`"), "{error:?}");
    }

    #[test]
    fn a_new_project_takes_neither_a_file_nor_a_project() {
        let temp = tempfile::tempdir().unwrap();
        let at = temp.path().join("new");
        assert_eq!(Project::create(&at, lock()).unwrap().root(), at);
        assert!(!at.exists(), "nothing is written");
        fs::write(&at, "a file").unwrap();
        assert_eq!(Project::create(&at, lock()).unwrap_err().diagnostics()[0].code, Code::Occupied);
        project_in(&temp.path().join("old"));
        assert!(Project::create(&temp.path().join("old"), lock()).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn nothing_outside_is_read() {
        use std::os::unix::fs::symlink;
        let temp = tempfile::tempdir().unwrap();
        let (root, outside) = (temp.path().join("project"), temp.path().join("outside"));
        project_in(&root);
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("secret"), "s").unwrap();
        symlink("../outside", root.join("folder")).unwrap();
        symlink("../outside/secret", root.join("file")).unwrap();
        symlink("../outside/absent", root.join("dangling")).unwrap();
        symlink("hop", root.join("chain")).unwrap();
        symlink("../outside", root.join("hop")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        fs::create_dir(root.join("src")).unwrap();
        symlink(&outside, root.join("src/absolute")).unwrap();
        let project = Project::open(&root).unwrap();
        for path in
            ["folder/secret", "file", "dangling", "chain/secret", "src/absolute/secret", "loop", "folder/absent", "src"]
        {
            let read = project.read(&ProjectPath::new(path).unwrap());
            assert!(read.is_err(), "{path}: {read:?}");
        }
        assert_eq!(project.read(&ProjectPath::new("src/absent").unwrap()).unwrap(), None);
        assert_eq!(project.read(&ProjectPath::new("mlx.lock/below").unwrap()).unwrap(), None);
    }
}
