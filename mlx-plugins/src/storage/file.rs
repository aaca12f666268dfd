//! Files that appear whole or not at all.

use crate::random::random_id;
use mlx_core::prelude::*;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// Age after which a partial file is taken for what a crash left behind.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// A file whose contents are on the disk under a name that nobody reads. [`publish`](Partial::publish) gives it its
/// real name in one step; dropping it removes it.
pub(crate) struct Partial {
    path: PathBuf,
}

impl Partial {
    /// Writes a partial file into `folder`, which must be on the file system of the later target.
    ///
    /// # Errors
    /// What the operating system reports.
    pub(crate) fn write(folder: &Path, contents: &[u8]) -> Result<Self> {
        let path = folder.join(random_id()?);
        let mut file = File::create_new(&path).with_context(|| format!("creating {}", path.display()))?;
        let partial = Partial { path };
        file.write_all(contents)
            .and_then(|()| file.sync_all())
            .with_context(|| format!("writing {}", partial.path.display()))?;
        Ok(partial)
    }

    /// Makes it `target`, which stays what it is in a crash until then. The new name is on the disk once
    /// [`sync_folders`] has run.
    ///
    /// # Errors
    /// What the operating system reports.
    pub(crate) fn publish(self, target: &Path) -> Result<()> {
        fs::rename(&self.path, target).with_context(|| format!("writing {}", target.display()))
    }

    /// Removes the partial files in `folder` that a crash left behind long ago.
    pub(crate) fn sweep(folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if age > ABANDONED {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After `publish` there is nothing to remove; what cannot be removed is swept later.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes a folder, given by its absolute path, and those above it. They are on the disk when this returns.
///
/// # Errors
/// What the operating system reports.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent();
    if let Some(parent) = parent {
        make_folder(parent)?;
    }
    match fs::create_dir(path) {
        // Another process was faster.
        Err(_) if path.is_dir() => {}
        made => made.with_context(|| format!("creating the folder {}", path.display()))?,
    }
    parent.map_or(Ok(()), |parent| sync_folders(parent, parent))
}

/// Puts the names in `folder` on the disk, and those in the folders above it up to `root`.
///
/// # Errors
/// What the operating system reports.
pub(crate) fn sync_folders(folder: &Path, root: &Path) -> Result<()> {
    // Elsewhere a folder cannot be opened as a file, and the file system keeps names in order by itself.
    if cfg!(unix) {
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(root)) {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .with_context(|| format!("writing the folder {}", folder.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_with_its_contents_and_replaces_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        for contents in [&b"old"[..], b"new"] {
            Partial::write(folder.path(), contents).unwrap().publish(&target).unwrap();
            assert_eq!(fs::read(&target).unwrap(), contents);
        }
        sync_folders(folder.path(), folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["target"]);
    }

    #[test]
    fn what_is_not_published_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        drop(Partial::write(folder.path(), b"data").unwrap());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = Partial::write(&missing, b"data").map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }

    #[test]
    fn folders_are_made_with_those_above_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c");
        make_folder(&path).unwrap();
        make_folder(&path).unwrap();
        assert!(path.is_dir());
        File::create(path.join("file")).unwrap();
        for below in ["file", "file/d"] {
            let error = make_folder(&path.join(below)).unwrap_err();
            assert!(error.to_string().contains("creating the folder") && error.to_string().contains("file"), "{error}");
        }
    }

    #[test]
    fn only_old_partial_files_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let old = File::create(folder.path().join("old")).unwrap();
        old.set_modified(SystemTime::now() - 2 * ABANDONED).unwrap();
        File::create(folder.path().join("young")).unwrap();
        Partial::sweep(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["young"]);
    }
}
