//! One finding about what a user wrote.

use super::{Code, Location};
use serde_json::json;
use std::fmt;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing starts until it is mended.
    Error,
    /// The program goes on; the user should know.
    Warning,
    /// What was decided as the user asked for it.
    Note,
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// Another place that a [`Diagnostic`] speaks of.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// What is there.
    pub message: String,
    /// Where it is, if it was written in a file.
    pub location: Option<Location>,
}

/// One finding: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The stable code.
    pub code: Code,
    /// Whether it stops the work.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where it was written, when that is known.
    pub location: Option<Location>,
    /// The configuration path, such as `plugins[2].config.pool_size`.
    pub path: Option<String>,
    /// Other places involved.
    pub related: Vec<Related>,
    /// What to do about it.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            location: None,
            path: None,
            related: Vec::new(),
            help: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// A note.
    pub fn note(code: Code, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Note, ..Diagnostic::error(code, message) }
    }

    /// Sets where it was written, and notes how that file came to be read.
    #[must_use]
    pub fn at<'l>(mut self, location: impl Into<Option<&'l Location>>) -> Self {
        self.location = location.into().cloned();
        let includes = |location: &Location| location.source.included_from().cloned();
        for from in std::iter::successors(self.location.as_ref().and_then(includes), includes) {
            self.related.push(Related { message: "included from here".to_owned(), location: Some(from) });
        }
        self
    }

    /// Sets the configuration path.
    #[must_use]
    pub fn in_path(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.path = (!path.is_empty()).then_some(path);
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds another place involved.
    #[must_use]
    pub fn related<'l>(mut self, message: impl Into<String>, location: impl Into<Option<&'l Location>>) -> Self {
        self.related.push(Related { message: message.into(), location: location.into().cloned() });
        self
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The finding as JSON, for machines.
    pub fn to_json(&self) -> serde_json::Value {
        let place = |location: &Option<Location>| location.as_ref().map(Location::to_json);
        json!({
            "code": self.code.to_string(),
            "severity": self.severity.as_str(),
            "message": self.message,
            "location": place(&self.location),
            "path": self.path,
            "related": self.related.iter()
                .map(|r| json!({"message": r.message, "location": place(&r.location)}))
                .collect::<Vec<_>>(),
            "help": self.help,
        })
    }
}

/// Sorts by position in the text; what has no position comes last, in the order it was found.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| match (&a.location, &b.location) {
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => std::cmp::Ordering::Equal,
    });
}
/// One line: `platform.yaml:3:5: error[MLX0020]: unknown field `x``. [`Report`](super::Report) has all of it.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match (&self.location, &self.path) {
            (Some(location), _) => format!("{location}: "),
            (None, Some(path)) => format!("{path}: "),
            (None, None) => String::new(),
        };
        let line = format!("{place}{}[{}]: {}", self.severity.as_str(), self.code, self.message);
        f.write_str(&super::report::printable(&line))
    }
}
