//! The bytes of models, as files named after their SHA-256.

use crate::{
    model_registry::record::checksum,
    storage::{Partial, make_folder, sync_folders},
};
use mlx_core::prelude::*;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The folders of the files.
#[derive(Clone)]
pub(super) struct Blobs {
    root: PathBuf,
    partial: PathBuf,
}

impl Blobs {
    /// Opens or makes the folders `blobs` and `partial` in `folder`. Blocks, as all methods do.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let blobs = Blobs { root: folder.join("blobs"), partial: folder.join("partial") };
        make_folder(&blobs.root)?;
        make_folder(&blobs.partial)?;
        // Leftovers take room and do no other harm.
        let _ = Partial::sweep(&blobs.partial);
        Ok(blobs)
    }

    /// Writes bytes to the disk, to be published later.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<Partial> {
        Partial::write(&self.partial, bytes)
    }

    /// Gives the bytes their name. A file that is there is replaced, which repairs a damaged one.
    pub(super) fn publish(&self, partial: Partial, sha256: &str) -> Result<()> {
        partial.publish(&self.path(sha256))?;
        sync_folders(&self.root, &self.root)
    }

    /// The bytes; `None` when there is no file.
    pub(super) fn read(&self, sha256: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(sha256);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.with_context(|| format!("reading {}", path.display()))?,
        };
        let found = checksum(&bytes);
        if found == sha256 {
            return Ok(Some(bytes));
        }
        Err(Error::failed(format!(
            "{} is damaged: its SHA-256 is {found}, and the model was stored with {sha256}; \
             bring the file back from a copy, or register the model again",
            path.display()
        )))
    }

    /// Removes a file; that there is none is no error.
    pub(super) fn remove(&self, sha256: &str) -> Result<()> {
        let path = self.path(sha256);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.with_context(|| format!("removing {}", path.display())),
        }
    }

    /// The folder for files that are being written.
    pub(super) fn partial(&self) -> &Path {
        &self.partial
    }

    /// The file of a checksum.
    pub(super) fn path(&self, sha256: &str) -> PathBuf {
        self.root.join(sha256)
    }
}
