//! Three-way merge of a generated file: what was generated before (the base), what the user made of it (ours), and what is
//! generated now (theirs).
//!
//! A result counts as clean only where independent ways of comparing the texts lead to the same result ([`three_way`]).
//! A `Cargo.toml` is merged by its keys ([`toml`]). A file that the user moved is found by its content ([`renames`]).

use mlx_core::{
    Diagnostic,
    diagnostics::{Code, Source},
};

mod renames;
mod text;
mod toml;

pub use renames::{renames, similarity};
pub use text::three_way;
pub use toml::toml;

/// What a merge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// Both sides' changes are in.
    Clean(Vec<u8>),
    /// Both sides changed the same place.
    Conflict {
        /// The merged text, with the places in conflict between markers.
        text: Vec<u8>,
        /// How many places there are; at least 1.
        conflicts: usize,
    },
    /// Both sides changed a file that is not text, where markers would destroy it. The user's file stays as it is, and
    /// what is generated now is put beside it under the name that [`aside`] gives.
    Binary,
}

/// What stands after the markers of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels<'a> {
    /// After `<<<<<<<`: the user's text.
    pub ours: &'a str,
    /// After `|||||||`: the text both come from.
    pub base: &'a str,
    /// After `>>>>>>>`: the template's text.
    pub theirs: &'a str,
}

impl Default for Labels<'_> {
    fn default() -> Self {
        Self { ours: "yours", base: "generated before", theirs: "generated now" }
    }
}

/// The path beside `path` where a file goes that could not be merged into it.
pub fn aside(path: &str) -> String {
    format!("{path}.generated-now")
}

/// Whether one of the markers that [`three_way`] writes with these labels is still in the text. Markers of other tools, or
/// a heading underlined with `=======`, are no sign of a conflict of ours.
pub fn has_markers(text: &[u8], labels: &Labels<'_>) -> bool {
    let is_marker = |line: &[u8]| {
        let label = match line.first() {
            Some(b'<') => labels.ours,
            Some(b'|') => labels.base,
            Some(b'>') => labels.theirs,
            _ => return false,
        };
        let width = text::marker_run(line);
        width >= text::MARKER && line[width..].strip_prefix(b" ") == Some(label.as_bytes())
    };
    text.split(|&byte| byte == b'\n').any(|line| is_marker(line.strip_suffix(b"\r").unwrap_or(line)))
}

/// The first conflict that a merge of version control left in a text: a line that begins with `<<<<<<< `, and below it the two
/// other markers. A heading underlined with `=======` is none.
pub(crate) fn conflict_of_git(path: &str, text: &[u8]) -> Option<Diagnostic> {
    let text = std::str::from_utf8(text).ok()?;
    let mut begin: Option<(u32, usize)> = None;
    let mut halved = false;
    let mut at = 0;
    let mut number = 0;
    for line in text.split_inclusive('\n') {
        number += 1;
        if line.starts_with("<<<<<<< ") {
            (begin, halved) = (Some((number, at)), false);
        } else if line.trim_end() == "=======" {
            halved = begin.is_some();
        } else if line.starts_with(">>>>>>> ")
            && halved
            && let Some((number, at)) = begin
        {
            let source = Source::new(path, text);
            return Some(
                Diagnostic::error(Code::ConflictsLeft, format!("`{path}`, line {number}: unresolved conflict of git"))
                    .at(&crate::position::location(&source, at..at + 7))
                    .help("take what is needed of both sides, delete the lines with the markers, and run the command again"),
            );
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_markers_are_found_and_look_alikes_are_not() {
        let labels = Labels::default();
        for text in [
            "a\n<<<<<<< yours\nb\n",
            "||||||| generated before",
            ">>>>>>>>>> generated now\r\n",
            "x\r\n<<<<<<< yours\r\n",
        ] {
            assert!(has_markers(text.as_bytes(), &labels), "{text}");
        }
        for text in ["", "Title\n=======\n", "<<<<<<< HEAD\n", " <<<<<<< yours\n", "<<<<<< yours\n", "<<<<<<<yours\n"] {
            assert!(!has_markers(text.as_bytes(), &labels), "{text}");
        }
    }

    #[test]
    fn a_file_is_put_beside() {
        assert_eq!(aside("data/model.bin"), "data/model.bin.generated-now");
    }
}
