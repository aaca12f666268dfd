//! One command at a time.

use super::{HOME, disk::Disk};
use cap_std::fs::OpenOptions;
use mlx_core::{Context, Diagnostic, Error, ErrorKind, Result, diagnostics::Code};
use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
};

const FILE: &str = ".mlx/lock";

/// The lock on a project: an advisory lock of the operating system on `.mlx/lock`, which it lets go when the process ends. The
/// file says who holds it.
pub(super) struct ProjectLock(File);

impl ProjectLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`Code::Busy`], naming the process that holds it.
    pub(super) fn take(disk: &mut Disk<'_>, root: &Path, command: &str) -> Result<Self> {
        disk.create_folder(HOME).context("making .mlx")?;
        match disk.dir.symlink_metadata(FILE) {
            Ok(found) if !found.is_file() => {
                let found = Diagnostic::error(Code::UnsafePath, format!("`{FILE}` is not a file")).help("remove it");
                return Err(Error::from_diagnostics("the project", vec![found]));
            }
            _ => {}
        }
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = disk.dir.open_with(FILE, &options).context("opening .mlx/lock")?.into_std();
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(busy(&mut file, root)),
            // A file system without locks: there is nobody to ask.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(Error::from(e).context("locking the project")),
        }
        // Who holds it is for people only.
        let holder = format!("process {}, `mlx {command}`", std::process::id());
        let _ = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
        Ok(ProjectLock(file))
    }
}

impl Drop for ProjectLock {
    fn drop(&mut self) {
        let _ = self.0.set_len(0).and_then(|()| self.0.unlock());
    }
}

fn busy(file: &mut File, root: &Path) -> Error {
    let mut holder = String::new();
    let read = file.rewind().and_then(|()| file.take(200).read_to_string(&mut holder));
    let holder = match read {
        Ok(_) if !holder.is_empty() && !holder.contains(char::is_control) => holder,
        _ => "another process".to_owned(),
    };
    let message = format!("{holder} is changing the project in {}", root.display());
    let found = Diagnostic::error(Code::Busy, message).help("wait until it has finished");
    Error::from_diagnostics("the project", vec![found]).with_kind(ErrorKind::Unavailable)
}
