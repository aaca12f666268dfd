//! The components that are built into this crate.

use super::{Catalogue, Component, Entry};
use mlx_core::{
    Diagnostic, JsonValue,
    diagnostics::{Code, Source},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// A folder, and its files with their texts.
pub(super) type Embedded = (&'static str, &'static [(&'static str, &'static str)]);

// `COMPONENTS: &[Embedded]`, sorted.
include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// All of them. None is read before it is asked for: their aliases are in the index.
pub(super) fn catalogue() -> Result<Catalogue, Vec<Diagnostic>> {
    let malformed = |why: String| vec![Diagnostic::error(Code::Syntax, format!("registry.json: {why}"))];
    let registry: JsonValue =
        serde_json::from_str(include_str!("../../registry.json")).map_err(|error| malformed(error.to_string()))?;
    let mut catalogue = Catalogue::default();
    for embedded in COMPONENTS {
        let entry = Entry { read: OnceLock::new(), embedded: Some(embedded) };
        catalogue.components.insert(embedded.0.to_owned(), Arc::new(entry));
    }
    for component in registry["components"].as_array().into_iter().flatten() {
        let Some(name) = component["name"].as_str().filter(|name| catalogue.components.contains_key(*name)) else {
            continue;
        };
        let aliases = component["aliases"].as_array().into_iter().flatten().filter_map(JsonValue::as_str);
        catalogue.aliases.extend(aliases.map(|alias| (alias.to_owned(), name.to_owned())));
    }
    Ok(catalogue)
}

/// Reads one. What no component can say of itself is checked by the tests of this crate.
pub(super) fn read((folder, files): &Embedded) -> Result<Component, Vec<Diagnostic>> {
    let files: BTreeMap<_, _> =
        files.iter().map(|(path, text)| ((*path).to_owned(), Source::new(format!("{folder}/{path}"), *text))).collect();
    Component::read(folder, files, true)
}
