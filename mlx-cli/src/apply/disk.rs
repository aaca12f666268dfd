//! The steps that change something on the disk.

use cap_std::fs::Dir;
use std::{
    io::{self, Write},
    path::Path,
};

/// A step that is about to be taken. Paths are relative to the project, but for its own folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'s> {
    /// A folder is made.
    CreateFolder(&'s Path),
    /// A folder is removed.
    RemoveFolder(&'s Path),
    /// A file is written.
    Write(&'s Path),
    /// A file is synchronised with the disk.
    Sync(&'s Path),
    /// A file gets the permissions of another one.
    Permissions(&'s Path),
    /// A file is kept under a second name.
    Link(&'s Path),
    /// A file is moved.
    Rename {
        /// Where it is.
        from: &'s Path,
        /// Where it goes.
        to: &'s Path,
    },
    /// A file is removed.
    Remove(&'s Path),
}

/// Sees every step before it is taken. Tests let it fail, or end the process.
pub trait Steps {
    /// Called before a step.
    ///
    /// # Errors
    /// The step is not taken, and fails with this error.
    fn before(&mut self, step: &Step<'_>) -> io::Result<()>;
}

/// Lets every step be taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Steps for NoFaults {
    fn before(&mut self, _: &Step<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// A project's folder, and what sees the steps in it.
pub(super) struct Disk<'d> {
    pub(super) dir: &'d Dir,
    pub(super) steps: &'d mut dyn Steps,
}

impl Disk<'_> {
    /// Makes a folder, unless it is there.
    pub(super) fn create_folder(&mut self, path: &str) -> io::Result<()> {
        if self.dir.metadata(path).is_ok_and(|found| found.is_dir()) {
            return Ok(());
        }
        self.steps.before(&Step::CreateFolder(Path::new(path)))?;
        self.dir.create_dir(path)
    }

    /// Removes a folder that has nothing in it, and says whether it is gone.
    pub(super) fn remove_folder_if_empty(&mut self, path: &str) -> io::Result<bool> {
        match self.dir.symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
            Ok(found) if found.is_dir() && self.dir.read_dir(path)?.next().is_none() => {}
            _ => return Ok(false),
        }
        self.remove_folder(path).map(|()| true)
    }

    pub(super) fn remove_folder(&mut self, path: &str) -> io::Result<()> {
        self.steps.before(&Step::RemoveFolder(Path::new(path)))?;
        self.dir.remove_dir(path)
    }

    pub(super) fn write(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.steps.before(&Step::Write(Path::new(path)))?;
        self.dir.write(path, content)
    }

    pub(super) fn write_synced(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.steps.before(&Step::Write(Path::new(path)))?;
        let mut file = self.dir.create(path)?;
        file.write_all(content)?;
        self.steps.before(&Step::Sync(Path::new(path)))?;
        file.sync_all()
    }

    /// Gives the file `to` the permissions of `from`, where they differ.
    pub(super) fn copy_permissions(&mut self, from: &str, to: &str) -> io::Result<()> {
        let permissions = self.dir.metadata(from)?.permissions();
        if permissions == self.dir.metadata(to)?.permissions() {
            return Ok(());
        }
        self.steps.before(&Step::Permissions(Path::new(to)))?;
        self.dir.set_permissions(to, permissions)
    }

    /// Keeps a file under a second name, where it may be kept already.
    pub(super) fn link(&mut self, from: &str, to: &str) -> io::Result<()> {
        if self.dir.symlink_metadata(to).is_ok() {
            return Ok(());
        }
        self.steps.before(&Step::Link(Path::new(to)))?;
        match self.dir.hard_link(from, self.dir, to) {
            Ok(()) => Ok(()),
            // Not every file system has links. A copy takes its name when it is complete.
            Err(_) => {
                let partial = format!("{to}-partial");
                self.dir.copy(from, self.dir, &partial)?;
                self.rename(&partial, to)
            }
        }
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.steps.before(&Step::Rename { from: Path::new(from), to: Path::new(to) })?;
        self.dir.rename(from, self.dir, to)
    }

    pub(super) fn remove(&mut self, path: &str) -> io::Result<()> {
        self.steps.before(&Step::Remove(Path::new(path)))?;
        self.dir.remove_file(path)
    }
}
