//! The components that are built into this crate.

use super::{Catalogue, Component};
use mlx_core::{Diagnostic, diagnostics::Source};
use std::collections::BTreeMap;

// `COMPONENTS: &[(folder, &[(path, text)])]`, sorted.
include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Reads all of them. They are checked as a whole by the tests of this crate.
pub(super) fn read() -> (Catalogue, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut components = Vec::new();
    for (folder, files) in COMPONENTS {
        let files: BTreeMap<_, _> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Source::new(format!("{folder}/{path}"), *text)))
            .collect();
        match Component::read(folder, files, true) {
            Ok(component) => components.push(component),
            Err(problems) => found.extend(problems),
        }
    }
    (Catalogue::of(components), found)
}
