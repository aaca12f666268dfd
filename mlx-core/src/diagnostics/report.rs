//! Diagnostics for people: the finding, an excerpt of the source, what to do.

use super::{Diagnostic, Error, Location, Severity};
use std::fmt::{self, Write as _};

/// Renders diagnostics for a person to read, like a compiler does.
///
/// An excerpt shows the marked span and, before it, only keys: whatever else stands on the line could be a secret.
pub struct Report<'a> {
    headline: Option<String>,
    diagnostics: &'a [Diagnostic],
    color: bool,
}

impl<'a> Report<'a> {
    /// A report of these findings, without colour.
    pub fn new(diagnostics: &'a [Diagnostic]) -> Self {
        Report { headline: None, diagnostics, color: false }
    }

    /// A report of an error: its message, its causes and its findings.
    pub fn of(error: &'a Error) -> Self {
        let mut headline = format!("{error:#}");
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            let text = error.to_string();
            if !headline.ends_with(&text) {
                let _ = write!(headline, "\n  caused by: {text}");
            }
            cause = error.source();
        }
        Report { headline: Some(headline), diagnostics: error.diagnostics(), color: false }
    }

    /// Switches ANSI colours on or off.
    #[must_use]
    pub fn color(mut self, on: bool) -> Self {
        self.color = on;
        self
    }

    fn paint(&self, style: &str, text: impl fmt::Display) -> String {
        if self.color { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_string() }
    }

    fn excerpt(&self, f: &mut fmt::Formatter<'_>, location: &Location) -> fmt::Result {
        let gutter = location.line.to_string().len();
        let bar = self.paint("34;1", "|");
        let arrow = self.paint("34;1", "-->");
        writeln!(f, "{:gutter$}{arrow} {location}", "")?;
        let Some(line) = location.source.line(location.line) else { return Ok(()) };
        let (shown, indent, width) = visible(line, location);
        writeln!(f, "{:gutter$} {bar}", "")?;
        writeln!(f, "{} {bar} {shown}", self.paint("34;1", location.line))?;
        writeln!(f, "{:gutter$} {bar} {}{}", "", " ".repeat(indent), self.paint("31;1", "^".repeat(width)))
    }
}

/// The part of `line` that may be shown, and where in it the marked span lies.
fn visible(line: &str, location: &Location) -> (String, usize, usize) {
    let characters: Vec<char> = line.chars().collect();
    let start = (location.column.saturating_sub(1) as usize).min(characters.len());
    let end = (start + location.length as usize).min(characters.len());
    let text = |range: &[char]| range.iter().collect::<String>();
    let before = masked(&text(&characters[..start]));
    let span = match location.length {
        0 => "[hidden]".to_owned(),
        _ => text(&characters[start..end]),
    };
    let rest = text(&characters[end..]);
    let mut shown = format!("{before}{span}");
    if rest.trim_start().starts_with(':') {
        shown.push(':');
    }
    if location.length > 0 && !rest.trim().trim_start_matches(':').trim().is_empty() {
        shown.push_str(" …");
    }
    (shown, before.chars().count(), span.chars().count().max(1))
}

/// The beginning of a line with its keys and brackets, but without its values.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    // What may turn out to be a key or a value.
    let mut token = String::new();
    let mut quote = None;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, ':') if characters.peek().is_none_or(|next| next.is_whitespace()) && is_key(&token) => {
                masked.push_str(&std::mem::take(&mut token));
                masked.push(':');
                continue;
            }
            (None, '{' | '}' | '[' | ']' | ',') => {
                masked.push_str(&value(&std::mem::take(&mut token)));
                masked.push(c);
                continue;
            }
            _ => {}
        }
        token.push(if c == '\t' { ' ' } else { c });
    }
    masked + &value(&token)
}

/// A value, unless it is only space and list dashes.
fn value(token: &str) -> String {
    match token.trim_matches([' ', '-']) {
        "" => token.to_owned(),
        _ if token.starts_with(' ') => " …".to_owned(),
        _ => "…".to_owned(),
    }
}

/// Whether the text is indentation, list dashes and a plain word.
fn is_key(text: &str) -> bool {
    let word = text.trim_start_matches([' ', '-']).trim_end();
    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(headline) = &self.headline {
            writeln!(f, "{}", self.paint("1", headline))?;
        }
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 || self.headline.is_some() {
                writeln!(f)?;
            }
            let style = match diagnostic.severity {
                Severity::Error => "31;1",
                Severity::Warning => "33;1",
                Severity::Note => "36;1",
            };
            let head = format!("{}[{}]", diagnostic.severity.as_str(), diagnostic.code);
            writeln!(f, "{}: {}", self.paint(style, head), self.paint("1", &diagnostic.message))?;
            if let Some(location) = &diagnostic.location {
                self.excerpt(f, location)?;
            }
            let equals = self.paint("34;1", "=");
            if let Some(path) = &diagnostic.path {
                writeln!(f, "  {equals} in `{path}`")?;
            }
            for related in &diagnostic.related {
                match &related.location {
                    Some(location) => writeln!(f, "  {equals} {} ({location})", related.message)?,
                    None => writeln!(f, "  {equals} {}", related.message)?,
                }
            }
            for help in &diagnostic.help {
                writeln!(f, "  {equals} help: {help}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::{Code, Source};

    fn at(text: &str, column: u32, length: u32) -> Location {
        Location { source: Source::new("a.yaml", text), line: 1, column, length }
    }

    #[test]
    fn shows_file_line_and_caret() {
        let diagnostic = Diagnostic::error(Code::UnknownField, "unknown field `polcy`")
            .at(&at("  polcy: 3", 3, 5))
            .in_path("plugins[0].config.polcy")
            .help("did you mean `policy`?");
        assert_eq!(
            Report::new(&[diagnostic]).to_string(),
            "error[MLX0020]: unknown field `polcy`\n \
             --> a.yaml:1:3\n  |\n1 |   polcy: …\n  |   ^^^^^\n  \
             = in `plugins[0].config.polcy`\n  = help: did you mean `policy`?\n"
        );
    }

    #[test]
    fn an_excerpt_shows_no_other_value_of_the_line() {
        for (text, column, length) in [
            ("{password: hunter2, polcy: 3}", 21, 5),
            ("passwrd: hunter2", 1, 7),
            ("- a: {b: hunter2, c: 1}", 19, 1),
            ("- {b: \"x, hunter2: y\", c: 1}", 24, 1),
            ("{b: 'hunter2: {', c: 1}", 19, 1),
            ("password: \"hunter2", 12, 0),
        ] {
            let diagnostic = Diagnostic::error(Code::UnknownField, "x").at(&at(text, column, length));
            let report = Report::new(&[diagnostic]).to_string();
            assert!(!report.contains("hunter2"), "{report}");
        }
    }

    #[test]
    fn keys_beside_the_span_are_shown() {
        let shown = |text: &str, column| visible(text, &at(text, column, 3)).0;
        assert_eq!(shown("  - {type: probe, name: abc}", 25), "  - {type: …, name: abc …");
        assert_eq!(shown("plugins: [{id: \"a\", abc: 1}]", 21), "plugins: [{id: …, abc: …");
        assert_eq!(visible("  key: x", &at("  key: x", 8, 0)).0, "  key: [hidden]");
    }

    #[test]
    fn a_span_past_the_end_of_the_line_is_clamped() {
        let diagnostic = Diagnostic::error(Code::Syntax, "x").at(&at("ab", 9, 9));
        assert!(Report::new(&[diagnostic]).to_string().contains('^'));
    }
}
