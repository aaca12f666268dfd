//! The files of runs, in one folder a run.

use crate::storage::{Partial, make_folder, sync_folders};
use mlx_core::prelude::*;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Bytes in a part of a path, as common file systems allow.
const PART: usize = 255;
/// Bytes in a path, so that it stays below what operating systems allow with the folders above it.
const PATH: usize = 1024;

/// The folders of the artifacts of all runs.
///
/// The files themselves are the record: what lies in a run's folder is an artifact of it, and nothing has to agree
/// with a list of them kept elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Artifacts {
    root: PathBuf,
    partial: PathBuf,
}

impl Artifacts {
    /// Opens or makes the folders `artifacts` and `partial` in `folder`. Blocks.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let artifacts = Artifacts { root: folder.join("artifacts"), partial: folder.join("partial") };
        make_folder(&artifacts.root)?;
        make_folder(&artifacts.partial)?;
        // Leftovers take room and do no other harm.
        let _ = Partial::sweep(&artifacts.partial);
        Ok(artifacts)
    }

    /// The folder for files that are being written; also of use for other files of the same store.
    pub(super) fn partial(&self) -> &Path {
        &self.partial
    }

    /// The folder of a run's files.
    pub(super) fn folder(&self, run: &str) -> PathBuf {
        self.root.join(run)
    }

    /// Stores a file. It is on the disk when this returns. Blocks.
    pub(super) fn store(&self, run: &str, path: &str, contents: &[u8]) -> Result<()> {
        check(path)?;
        let target = self.walk(run, path, true)?;
        let partial = Partial::write(&self.partial, contents)?;
        match fs::symlink_metadata(&target) {
            Ok(found) if found.is_dir() => return Err(refuse(path, "is a folder in this run")),
            _ => partial.publish(&target)?,
        }
        sync_folders(target.parent().unwrap_or(&self.root), &self.root)
    }

    /// The contents of a file. Blocks.
    pub(super) fn load(&self, run: &str, path: &str) -> Result<Vec<u8>> {
        check(path)?;
        let missing = || Error::not_found(format!("the run {run} has no artifact {path:?}"));
        let file = match self.walk(run, path, false) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
            file => file?,
        };
        match fs::symlink_metadata(&file) {
            Ok(found) if found.is_symlink() => Err(refuse(path, "is a symbolic link")),
            // A pipe, say, could block for ever.
            Ok(found) if !found.is_file() => Err(missing()),
            Ok(_) => fs::read(&file).with_context(|| format!("reading {}", file.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
            Err(error) => Err(Error::from(error).context(format!("reading {}", file.display()))),
        }
    }

    /// The paths of all files of a run, sorted. Blocks.
    pub(super) fn list(&self, run: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![(self.folder(run), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            if fs::symlink_metadata(&folder).is_ok_and(|found| found.is_symlink()) {
                continue;
            }
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.with_context(|| format!("reading the folder {}", folder.display()))?,
            };
            for entry in entries {
                let entry = entry.with_context(|| format!("reading the folder {}", folder.display()))?;
                let Ok(kind) = entry.file_type() else { continue };
                // What could not be asked for by a path is not an artifact; symbolic links are neither kind.
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = format!("{prefix}{name}");
                if kind.is_dir() {
                    folders.push((entry.path(), path + "/"));
                } else if kind.is_file() && check(&path).is_ok() {
                    found.push(path);
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The file that a path names, with the folders above it checked: none is a symbolic link or a file. They are
    /// made on the way if `make` says so.
    ///
    /// Somebody who can write into the store may still swap a folder for a link after the check; this keeps out
    /// paths, not people.
    fn walk(&self, run: &str, path: &str, make: bool) -> Result<PathBuf> {
        let (above, file) = path.rsplit_once('/').map_or((None, path), |(above, file)| (Some(above), file));
        let mut folder = self.root.clone();
        for part in std::iter::once(run).chain(above.into_iter().flat_map(|above| above.split('/'))) {
            folder.push(part);
            if make {
                match fs::create_dir(&folder) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(Error::from(error).context(format!("creating the folder {}", folder.display())));
                    }
                    _ => {}
                }
            }
            let found = fs::symlink_metadata(&folder).with_context(|| format!("reading {}", folder.display()))?;
            if found.is_symlink() {
                return Err(refuse(path, "leads through a symbolic link"));
            }
            if !found.is_dir() {
                return Err(refuse(path, "leads through a file"));
            }
        }
        Ok(folder.join(file))
    }
}

fn refuse(path: &str, why: &str) -> Error {
    Error::invalid(format!("the artifact path {path:?} {why}"))
}

/// Checks that a path stays inside its folder and names one file, on every operating system.
fn check(path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(refuse(path, "is empty"));
    }
    if path.len() > PATH {
        return Err(Error::invalid(format!("an artifact path has {} bytes; at most {PATH} are allowed", path.len())));
    }
    if path.starts_with('/') {
        return Err(refuse(path, "is absolute; write it relative to the run"));
    }
    for part in path.split('/') {
        match part {
            "" => return Err(refuse(path, "has an empty part")),
            "." | ".." => return Err(refuse(path, "has a part `.` or `..`")),
            part if part.contains('\\') => return Err(refuse(path, "has a backslash; write `/` between its parts")),
            // A drive or an alternate stream on Windows.
            part if part.contains(':') => return Err(refuse(path, "has a colon")),
            part if part.contains(char::is_control) => return Err(refuse(path, "has a control character")),
            // Windows drops them, so two names would be one file.
            part if part.ends_with(['.', ' ']) => return Err(refuse(path, "has a part that ends in a dot or a space")),
            part if part.len() > PART => return Err(refuse(path, "has a part of more than 255 bytes")),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Artifacts) {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(folder.path()).unwrap();
        (folder, artifacts)
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_are_not_followed() {
        use std::os::unix::fs::symlink;
        let (folder, artifacts) = open();
        artifacts.store("run", "a/inside", b"in").unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "secret").unwrap();
        symlink(&outside, artifacts.folder("run").join("out")).unwrap();
        symlink(outside.join("file"), artifacts.folder("run").join("link")).unwrap();

        for path in ["out/file", "link"] {
            assert_eq!(artifacts.load("run", path).unwrap_err().kind(), ErrorKind::Invalid, "{path}");
        }
        assert_eq!(artifacts.store("run", "out/file", b"x").unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(artifacts.list("run").unwrap(), ["a/inside"]);
        // Written over, the link is replaced; what it pointed at stays.
        artifacts.store("run", "link", b"mine").unwrap();
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"secret");
        assert_eq!(artifacts.load("run", "link").unwrap(), b"mine");
    }

    #[cfg(unix)]
    #[test]
    fn a_run_folder_that_is_a_link_is_refused() {
        let (folder, artifacts) = open();
        std::os::unix::fs::symlink(folder.path(), artifacts.folder("run")).unwrap();
        fs::write(folder.path().join("a"), "outside").unwrap();
        assert_eq!(artifacts.store("run", "a", b"x").unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(artifacts.load("run", "a").unwrap_err().kind(), ErrorKind::Invalid);
        assert!(artifacts.list("run").unwrap().is_empty());
    }

    #[test]
    fn a_file_is_not_a_folder() {
        let (_folder, artifacts) = open();
        artifacts.store("run", "a/b", b"x").unwrap();
        for path in ["a", "a/b/c"] {
            assert_eq!(artifacts.store("run", path, b"y").unwrap_err().kind(), ErrorKind::Invalid, "{path}");
        }
        assert_eq!(artifacts.load("run", "a").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(artifacts.list("run").unwrap(), ["a/b"]);
    }

    #[test]
    fn nothing_partial_stays_behind() {
        let (_folder, artifacts) = open();
        artifacts.store("run", "a", b"x").unwrap();
        artifacts.store("run", "a/b", b"x").unwrap_err();
        assert_eq!(fs::read_dir(artifacts.partial()).unwrap().count(), 0);
    }
}
