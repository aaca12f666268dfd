//! The components that are built into this crate.

use super::{Catalogue, Component, Entry};
use mlx_core::{
    Diagnostic,
    diagnostics::{Code, Source},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// A folder, and its files with their texts.
pub(super) type Embedded = (&'static str, &'static [(&'static str, &'static str)]);

// `COMPONENTS: &[Embedded]`, sorted.
include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// What is needed of `registry.json`.
#[derive(Deserialize)]
struct Index<'t> {
    #[serde(borrow)]
    components: Vec<Indexed<'t>>,
}

#[derive(Deserialize)]
struct Indexed<'t> {
    name: &'t str,
    aliases: Vec<&'t str>,
}

/// All of them. None is read before it is asked for: their aliases are in the index.
pub(super) fn catalogue() -> Result<Catalogue, Vec<Diagnostic>> {
    let malformed = |why: String| vec![Diagnostic::error(Code::Syntax, format!("registry.json: {why}"))];
    let index: Index<'static> =
        serde_json::from_str(include_str!("../../registry.json")).map_err(|error| malformed(error.to_string()))?;
    let mut catalogue = Catalogue::default();
    for embedded in COMPONENTS {
        let entry = Entry { read: OnceLock::new(), embedded: Some(embedded) };
        catalogue.components.insert(embedded.0.to_owned(), Arc::new(entry));
    }
    for Indexed { name, aliases } in index.components {
        if catalogue.components.contains_key(name) {
            catalogue.aliases.extend(aliases.into_iter().map(|alias| (alias.to_owned(), name.to_owned())));
        }
    }
    Ok(catalogue)
}

/// Reads one. What no component can say of itself is checked by the tests of this crate.
pub(super) fn read((folder, files): &Embedded) -> Result<Component, Vec<Diagnostic>> {
    let files: BTreeMap<_, _> =
        files.iter().map(|(path, text)| ((*path).to_owned(), Source::new(format!("{folder}/{path}"), *text))).collect();
    Component::read(folder, files, true)
}
