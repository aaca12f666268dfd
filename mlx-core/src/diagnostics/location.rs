//! Where a value was written.

use std::{fmt, sync::Arc};

/// A text that values came from: a file, or a string given by the program.
pub struct Source {
    name: String,
    text: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold secrets.
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    /// A text called `name` (a path, or something like `<inline>`).
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Source { name: name.into(), text: text.into() })
    }

    /// What the text is called: its path as the user gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line `number`, counted from 1, without its line ending.
    pub fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.text.lines().nth(index)
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
    /// The same position, whose text no excerpt shows.
    #[must_use]
    pub fn without_text(self) -> Self {
        Location { length: 0, ..self }
    }

    /// The position as JSON, for machines; no text.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({"file": self.source.name(), "line": self.line, "column": self.column, "length": self.length})
    }

    fn key(&self) -> (&str, u32, u32) {
        (self.source.name(), self.line, self.column)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.name, self.line, self.column)
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
