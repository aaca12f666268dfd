//! The located value tree, its readers, and `${…}` references.

pub mod json;
mod node;
mod template;
#[cfg(feature = "toml")]
pub mod toml;
pub mod yaml;

pub use node::{Entry, Map, Node, Value};
pub use template::{Definition, Reference, System, Template, TemplateError, Variables};

use crate::diagnostics::{Code, Diagnostic, Location, Source};
use std::{path::Path, sync::Arc};

/// What stands in for a secret in every output. The reader refuses it as a value, so that a printed configuration
/// cannot be fed back with its secrets lost.
pub const REDACTED: &str = "[redacted]";

/// A file that is read may have this many bytes.
const MAX_FILE: u64 = 16 << 20;

/// Reads a file by its extension: `.yaml`, `.yml`, `.toml` or `.json`. Locations name the path as it was given.
///
/// # Errors
/// Why the file cannot be read, or what is wrong in it.
pub fn read_file(path: &Path) -> Result<Node, Vec<Diagnostic>> {
    read_included(path, None)
}

/// Reads a file that another one names at `from`.
pub(crate) fn read_included(path: &Path, from: Option<&Location>) -> Result<Node, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let refused = |diagnostic: Diagnostic| vec![diagnostic.at(from)];
    let parse: fn(&Arc<Source>) -> Result<Node, Vec<Diagnostic>> = match path.extension().and_then(|e| e.to_str()) {
        Some("yaml" | "yml") => yaml::parse,
        Some("json") => json::parse,
        #[cfg(feature = "toml")]
        Some("toml") => toml::parse,
        #[cfg(not(feature = "toml"))]
        Some("toml") => {
            let diagnostic =
                Diagnostic::error(Code::UnknownFormat, format!("`{name}` is TOML, which this program does not read"))
                    .help("enable the feature `toml` of `mlx-core`");
            return Err(refused(diagnostic));
        }
        _ => {
            let diagnostic =
                Diagnostic::error(Code::UnknownFormat, format!("`{name}` has none of the known file extensions"))
                    .help("the formats are YAML (`.yaml`, `.yml`), TOML (`.toml`) and JSON (`.json`)");
            return Err(refused(diagnostic));
        }
    };
    let bytes = read_bytes(path).map_err(|error| {
        let diagnostic = Diagnostic::error(Code::Unreadable, format!("cannot read `{name}`: {error}"));
        refused(match from {
            Some(_) => diagnostic.help("a path is relative to the file that names it"),
            None => diagnostic.help("check the path, and that the program may read the file"),
        })
    })?;
    let text = String::from_utf8(bytes).map_err(|error| vec![not_utf_8(name.clone(), &error)])?;
    parse(&match from {
        Some(from) => Source::included(name, text, from.clone()),
        None => Source::new(name, text),
    })
}

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::{Error, ErrorKind, Read};
    // Opening a device or a pipe could block for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::new(ErrorKind::FileTooLarge, "larger than 16 MiB"));
    }
    Ok(bytes)
}

fn not_utf_8(name: String, error: &std::string::FromUtf8Error) -> Diagnostic {
    let bytes = error.as_bytes();
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Diagnostic::error(Code::Unreadable, format!("`{name}` is UTF-16")).help("save it as UTF-8");
    }
    let source = Source::new(name, String::from_utf8_lossy(bytes));
    let (line, column) = source.line_and_column(error.utf8_error().valid_up_to());
    let at = Location { source, line, column, length: 1 };
    Diagnostic::error(Code::Unreadable, "the file is not UTF-8: here is a byte that no character begins with")
        .at(&at)
        .help("save it as UTF-8")
}
