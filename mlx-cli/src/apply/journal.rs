//! What a change does to which file, on the disk.

use crate::project::{ProjectPath, Sha256};
use mlx_core::{Diagnostic, Error, Result, diagnostics::Code};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// A change of a project. It is in force as long as its file is there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    version: u32,
    pub(super) command: String,
    /// The folders that are made, outer ones first.
    pub(super) folders: Vec<String>,
    pub(super) changes: Vec<Change>,
}

/// What a file is, and what it is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    pub(super) path: ProjectPath,
    pub(super) before: Option<Sha256>,
    pub(super) after: Option<Sha256>,
}

impl Journal {
    pub(super) fn new(command: &str, folders: Vec<String>, changes: Vec<Change>) -> Self {
        Journal { version: VERSION, command: command.to_owned(), folders, changes }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let unusable = |message: String| {
            let found = Diagnostic::error(Code::Unrecovered, message)
                .help("restore the project from version control, and remove `.mlx/journal` and `.mlx/undo`");
            Error::from_diagnostics(".mlx/journal", vec![found])
        };
        let journal: Journal = serde_json::from_slice(bytes)
            .map_err(|e| unusable(format!("the journal is damaged: {}", crate::position::one_line(&e.to_string()))))?;
        if journal.version != VERSION {
            return Err(unusable(format!("the journal has version {}, this `mlx` knows {VERSION}", journal.version)));
        }
        if let Some(bad) =
            journal.folders.iter().find(|folder| ProjectPath::new(folder).is_err() && *folder != ".mlx/base")
        {
            return Err(unusable(format!("the journal names the folder {bad:?}")));
        }
        Ok(journal)
    }
}
