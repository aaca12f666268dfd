//! The located value tree, its readers, and `${…}` references.

pub mod json;
mod node;
mod template;
pub mod yaml;

pub use node::{Entry, Map, Node, Value};
pub use template::{Reference, System, Template, TemplateError, Variables};

use crate::diagnostics::{Code, Diagnostic, Source};
use std::{path::Path, sync::Arc};

/// Reads a file by its extension: `.yaml`, `.yml` or `.json`. Locations name the path as it was given.
///
/// # Errors
/// Why the file cannot be read, or what is wrong in it.
pub fn read_file(path: &Path) -> Result<Node, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let parse: fn(&Arc<Source>) -> Result<Node, Vec<Diagnostic>> = match path.extension().and_then(|e| e.to_str()) {
        Some("yaml" | "yml") => yaml::parse,
        Some("json") => json::parse,
        _ => {
            let diagnostic =
                Diagnostic::error(Code::UnknownFormat, format!("`{name}` has none of the known file extensions"))
                    .help("the formats are YAML (`.yaml`, `.yml`) and JSON (`.json`)");
            return Err(vec![diagnostic]);
        }
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![Diagnostic::error(Code::Unreadable, format!("cannot read `{name}`: {error}"))])?;
    parse(&Source::new(name, text))
}
