//! Where a value was written.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// Something that values came from: a file, a string given by the program, an environment variable.
pub struct Source {
    name: String,
    kind: SourceKind,
    text: Arc<str>,
    /// Where each line begins, found out when it is first asked for.
    lines: OnceLock<Vec<usize>>,
    included_from: Option<Location>,
    profile: Option<String>,
}

/// What a [`Source`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceKind {
    /// A text with lines and columns: a file, or a string given by the program.
    Text,
    /// The value of an environment variable.
    Environment,
    /// A value that the program laid over a composition.
    Override,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold secrets.
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    /// A text called `name` (a path, or something like `<inline>`).
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Arc<Self> {
        Arc::new(Source::of(name, SourceKind::Text, text))
    }

    /// A text that another one includes, at `from`.
    pub fn included(name: impl Into<String>, text: impl Into<Arc<str>>, from: Location) -> Arc<Self> {
        Arc::new(Source { included_from: Some(from), ..Source::of(name, SourceKind::Text, text) })
    }

    /// The environment variable `name`. Its value is not kept.
    pub fn environment(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Source::of(name, SourceKind::Environment, ""))
    }

    /// An override of the setting `path` by the program.
    pub fn setting(path: impl Into<String>) -> Arc<Self> {
        Arc::new(Source::of(path, SourceKind::Override, ""))
    }

    fn of(name: impl Into<String>, kind: SourceKind, text: impl Into<Arc<str>>) -> Self {
        let (name, text) = (name.into(), text.into());
        Source { name, kind, text, lines: OnceLock::new(), included_from: None, profile: None }
    }

    /// The same text, as far as it belongs to a profile of a composition.
    #[must_use]
    pub fn within_profile(&self, profile: &str) -> Arc<Self> {
        Arc::new(Source {
            included_from: self.included_from.clone(),
            profile: Some(profile.to_owned()),
            ..Source::of(self.name.clone(), self.kind, self.text.clone())
        })
    }

    /// What the text is called: its path as the user gave it, or the name of the environment variable.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> SourceKind {
        self.kind
    }

    /// Where another text includes this one.
    pub fn included_from(&self) -> Option<&Location> {
        self.included_from.as_ref()
    }

    /// The profile that the values belong to.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line `number`, counted from 1, without its line ending, which is `\n`, `\r\n` or `\r`. A text that ends with one
    /// has an empty last line.
    pub fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        let starts = self.starts();
        let end = starts.get(index + 1).copied().unwrap_or(self.text.len());
        Some(self.text[*starts.get(index)?..end].trim_end_matches(['\r', '\n']))
    }

    /// The line and the column, both counted from 1, of a position in the text counted in bytes.
    pub(crate) fn line_and_column(&self, byte: usize) -> (u32, u32) {
        let starts = self.starts();
        let line = starts.partition_point(|start| *start <= byte).max(1);
        let before = self.text.get(starts[line - 1]..byte.min(self.text.len())).unwrap_or_default();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(line), number(before.chars().count() + 1))
    }

    /// The position of a range of bytes, as far as it lies on its first line.
    pub fn span(self: &Arc<Self>, bytes: std::ops::Range<usize>) -> Location {
        let (line, column) = self.line_and_column(bytes.start);
        let end = self.text.len().min(bytes.end.max(bytes.start));
        let covered = self.text.get(bytes.start..end).unwrap_or_default();
        let length = covered.split(['\r', '\n']).next().unwrap_or_default().chars().count().max(1);
        Location { source: self.clone(), line, column, length: u32::try_from(length).unwrap_or(u32::MAX) }
    }

    /// The position, or the end of its line or of the text where it lies behind that: parsers count on.
    pub(crate) fn within(&self, at: Location) -> Location {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let line = at.line.clamp(1, number(self.starts().len()));
        let end = number(self.line(line).unwrap_or_default().chars().count() + 1);
        let column = if line < at.line { end } else { at.column.min(end) };
        Location { line, column, ..at }
    }

    /// Where each line begins, in bytes.
    pub(crate) fn starts(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let bytes = self.text.as_bytes();
            let ends = (0..bytes.len()).filter(|at| match bytes[*at] {
                b'\n' => true,
                b'\r' => bytes.get(at + 1) != Some(&b'\n'),
                _ => false,
            });
            std::iter::once(0).chain(ends.map(|at| at + 1)).collect()
        })
    }
}

/// A span of characters on one line of a [`Source`].
///
/// Equality and order are by source name, line and column, so that diagnostics can be sorted by position.
#[derive(Clone)]
pub struct Location {
    /// The text.
    pub source: Arc<Source>,
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
    /// How many characters the span covers. With 0, its text is not to be shown: it may be a secret.
    pub length: u32,
}

impl Location {
    /// A whole source that has no lines: an environment variable, an override.
    pub fn whole(source: Arc<Source>) -> Self {
        Location { source, line: 1, column: 1, length: 0 }
    }

    /// The same position, whose text no excerpt shows.
    #[must_use]
    pub fn without_text(self) -> Self {
        Location { length: 0, ..self }
    }

    /// The location as JSON, for machines: `file`, `line`, `column` and `length`, or `environment`, or `override`.
    pub fn to_json(&self) -> serde_json::Value {
        let name = self.source.name();
        match self.source.kind {
            SourceKind::Text => {
                serde_json::json!({"file": name, "line": self.line, "column": self.column, "length": self.length})
            }
            SourceKind::Environment => serde_json::json!({"environment": name}),
            SourceKind::Override => serde_json::json!({"override": name}),
        }
    }

    /// The text that the span covers; `None` where it is not to be shown.
    pub fn marked(&self) -> Option<&str> {
        let line = self.source.line(self.line).filter(|_| self.length > 0)?;
        let at = |characters: usize| line.char_indices().nth(characters).map_or(line.len(), |(at, _)| at);
        let start = (self.column.saturating_sub(1)) as usize;
        line.get(at(start)..at(start + self.length as usize))
    }

    fn key(&self) -> (&str, u32, u32) {
        (self.source.name(), self.line, self.column)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source.kind {
            SourceKind::Text => write!(f, "{}:{}:{}", self.source.name, self.line, self.column),
            SourceKind::Environment => write!(f, "environment variable {}", self.source.name),
            SourceKind::Override => write!(f, "override of {}", self.source.name),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold secrets: the position is enough.
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Location {}

impl PartialOrd for Location {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Location {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_three_ways() {
        let source = Source::new("a", "one\ntwo\r\nthree\rfour\n");
        let lines: Vec<_> = (0..=6).map(|number| source.line(number)).collect();
        assert_eq!(lines, [None, Some("one"), Some("two"), Some("three"), Some("four"), Some(""), None]);
        assert_eq!(Source::new("a", "").line(1), Some(""));
    }

    #[test]
    fn a_byte_has_a_line_and_a_column() {
        let source = Source::new("a", "é1\rb");
        let places: Vec<_> = [0, 2, 4, 5, 99].map(|byte| source.line_and_column(byte)).into();
        assert_eq!(places, [(1, 1), (1, 2), (2, 1), (2, 2), (2, 2)]);
    }

    #[test]
    fn a_range_of_bytes_is_a_span_of_its_first_line() {
        let source = Source::new("a", "one\ntwo three\nfour");
        let spans: Vec<_> = [4..7, 8..18, 99..120].map(|bytes| source.span(bytes)).into();
        assert_eq!(
            spans.iter().map(|at| (at.line, at.column, at.length)).collect::<Vec<_>>(),
            [(2, 1, 3), (2, 5, 5), (3, 5, 1)]
        );
    }
}
