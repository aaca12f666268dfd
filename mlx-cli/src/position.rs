//! Positions in texts that other readers give in bytes.

use mlx_core::diagnostics::{Location, Source};
use std::{ops::Range, sync::Arc};

/// The place of a byte range in a text; a range over several lines is cut at the end of the first.
pub(crate) fn location(source: &Arc<Source>, span: Range<usize>) -> Location {
    let text = source.text();
    let start = floor(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = floor(text, span.end).clamp(start, line_end);
    Location {
        source: Arc::clone(source),
        line: u32::try_from(text[..start].matches('\n').count() + 1).unwrap_or(u32::MAX),
        column: characters(&text[line_start..start]) + 1,
        length: characters(&text[start..end]),
    }
}

fn characters(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A message of another reader, on one line and without a full stop.
pub(crate) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_lines_and_columns() {
        let source = Source::new("x.toml", "a = 1\nüb = \"x\"\n");
        let at = |span| {
            let location = location(&source, span);
            (location.line, location.column, location.length)
        };
        assert_eq!(at(0..1), (1, 1, 1));
        assert_eq!(at(12..15), (2, 6, 3));
        assert_eq!(at(7..99), (2, 1, 8), "inside a character, beyond the end");
        assert_eq!(at(99..100), (3, 1, 0));
    }
}
