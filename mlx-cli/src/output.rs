//! What a command says: to people on standard error and standard output, to programs as one JSON document.

use crate::arguments::{Color, Global};
use mlx_core::{Error, JsonValue, Result, diagnostics::Diagnostic, json};
use std::io::{self, IsTerminal, Write};

/// How a command ended. The numbers are those of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or there was nothing to do.
    Done = 0,
    /// An error; nothing was changed.
    Failed = 1,
    /// Conflicts are left in files.
    Conflicts = 3,
    /// What was checked is not as it should be.
    OutOfDate = 4,
}

/// Where a command writes.
///
/// With `--json`, the one document is written by [`Output::document`] (or [`Output::failure`]) and nothing else is said on
/// standard output. Otherwise results go to standard output, and what is done to standard error.
pub(crate) struct Output<'w> {
    out: &'w mut dyn Write,
    log: &'w mut dyn Write,
    /// Whether the document is wanted.
    pub(crate) json: bool,
    quiet: bool,
    color: Color,
}

impl<'w> Output<'w> {
    pub(crate) fn new(global: &Global, out: &'w mut dyn Write, log: &'w mut dyn Write) -> Self {
        Output { out, log, json: global.json, quiet: global.quiet, color: global.color }
    }

    /// A line of the result.
    pub(crate) fn line(&mut self, line: impl std::fmt::Display) -> Result<()> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Text of the result, as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Says what is done, or what to do next.
    pub(crate) fn say(&mut self, line: impl std::fmt::Display) {
        if self.speaks() {
            // Where nobody listens any more, that is no reason to stop. Standard error has no buffer of its own.
            let _ = self.log.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Says what the user has to do something about, also when quiet.
    pub(crate) fn insist(&mut self, line: impl std::fmt::Display) {
        if !self.json {
            let _ = self.log.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Whether what is done is said.
    pub(crate) fn speaks(&self) -> bool {
        !self.quiet && !self.json
    }

    /// Warnings and notes.
    pub(crate) fn warn(&mut self, diagnostics: &[Diagnostic]) {
        if !diagnostics.is_empty() && !self.json {
            let report = mlx_core::diagnostics::Report::new(diagnostics);
            let _ = writeln!(self.log, "{}", report.color(self.colors(&io::stderr())));
        }
    }

    /// The document of a command that did its work; `fields` is an object.
    pub(crate) fn document(&mut self, command: &str, status: &str, fields: JsonValue) -> Result<()> {
        let mut document = json!({"schema": 1, "command": command, "status": status});
        if let (Some(document), JsonValue::Object(fields)) = (document.as_object_mut(), fields) {
            document.extend(fields);
        }
        Ok(writeln!(self.out, "{document:#}")?)
    }

    /// An error, in the form that was asked for.
    pub(crate) fn failure(&mut self, command: &str, error: &Error) {
        let _ = if self.json {
            let document = json!({"schema": 1, "command": command, "status": "failed", "error": error.to_json()});
            writeln!(self.out, "{document:#}")
        } else {
            writeln!(self.log, "{}", error.report().color(self.colors(&io::stderr())))
        };
    }

    /// Whether colours are wanted on a stream.
    pub(crate) fn colors(&self, stream: &impl IsTerminal) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => mlx_core::diagnostics::wants_color(stream),
        }
    }
}

/// Whether nobody reads any more what is written.
pub(crate) fn is_broken_pipe(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() == io::ErrorKind::BrokenPipe)
}
