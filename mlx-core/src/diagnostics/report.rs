//! Diagnostics for people: the finding, an excerpt of the source, what to do.

use super::{Diagnostic, Error, Location, Severity, SourceKind};
use std::{
    fmt::{self, Write as _},
    io::IsTerminal,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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

    /// Switches ANSI colours on for a stream, as [`wants_color`] says.
    ///
    /// ```
    /// # let error = mlx_core::Error::failed("no");
    /// eprintln!("{}", error.report().color_for(&std::io::stderr()));
    /// ```
    #[must_use]
    pub fn color_for(self, stream: &impl IsTerminal) -> Self {
        self.color(wants_color(stream))
    }

    fn paint(&self, style: &str, text: impl fmt::Display) -> String {
        if self.color { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_string() }
    }

    fn excerpt(&self, f: &mut fmt::Formatter<'_>, location: &Location) -> fmt::Result {
        let gutter = location.line.to_string().len();
        let bar = self.paint("34;1", "|");
        let arrow = self.paint("34;1", "-->");
        writeln!(f, "{:gutter$}{arrow} {}", "", printable(&location.to_string()))?;
        let Some(line) = location.source.line(location.line) else { return Ok(()) };
        if location.source.kind() != SourceKind::Text {
            return Ok(());
        }
        let Excerpt { text, indent, width } = Excerpt::of(line, location);
        writeln!(f, "{:gutter$} {bar}", "")?;
        writeln!(f, "{}", format!("{} {bar} {text}", self.paint("34;1", location.line)).trim_end())?;
        writeln!(f, "{:gutter$} {bar} {}{}", "", " ".repeat(indent), self.paint("31;1", "^".repeat(width)))
    }
}

/// Whether colours are wanted, by the terminal and the environment variables. Empty ones count as unset.
/// Whether the user wants ANSI colours on a stream: where it is a terminal, unless `NO_COLOR` or `CLICOLOR=0` switch them off
/// (<https://no-color.org>, <https://bixense.com/clicolors>); `CLICOLOR_FORCE` switches them on whatever the stream is.
pub fn wants_color(stream: &impl IsTerminal) -> bool {
    color_is_wanted(stream.is_terminal(), |name| std::env::var(name).ok())
}

fn color_is_wanted(terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    match set("CLICOLOR_FORCE").as_deref() {
        None | Some("0") => {
            terminal && set("CLICOLOR").as_deref() != Some("0") && set("TERM").as_deref() != Some("dumb")
        }
        Some(_) => true,
    }
}

/// An excerpt has room for this many columns before the marked span.
const BEFORE: usize = 60;

/// An excerpt shows this many columns of the marked span.
const SPAN: usize = 60;

/// The part of a line that may be shown, and where in it the marked span lies, in columns of a terminal.
struct Excerpt {
    text: String,
    indent: usize,
    width: usize,
}

impl Excerpt {
    fn of(line: &str, location: &Location) -> Self {
        let (before, rest) = split_at(line, (location.column.saturating_sub(1)) as usize);
        let (span, rest) = split_at(rest, location.length as usize);
        let assignments = location.source.name().ends_with(".toml") || location.source.name() == "<toml>";
        let before = shortened_front(printable(&masked(before, assignments)), BEFORE);
        let span = match location.length {
            0 => "[hidden]".to_owned(),
            _ => shortened(printable(span), SPAN),
        };
        let mut text = format!("{before}{span}");
        let rest = rest.trim_start();
        if rest.starts_with(':') {
            text.push(':');
        } else if assignments && rest.starts_with('=') {
            text.push_str(" =");
        }
        let separators: &[char] = if assignments { &['=', ']'] } else { &[':'] };
        if location.length > 0 && !rest.trim_start_matches(separators).trim().is_empty() {
            text.push_str(" …");
        }
        Excerpt { text, indent: before.width(), width: span.width().max(1) }
    }
}

/// Cuts a text after this many characters.
fn split_at(text: &str, characters: usize) -> (&str, &str) {
    text.split_at(text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at))
}

/// The beginning of a text that has this many columns at most.
fn shortened(text: String, columns: usize) -> String {
    if text.width() <= columns {
        return text;
    }
    let mut short = String::new();
    let mut width = 1;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width > columns {
            break;
        }
        short.push(c);
    }
    short + "…"
}

/// The end of a text that has this many columns at most.
fn shortened_front(text: String, columns: usize) -> String {
    if text.width() <= columns {
        return text;
    }
    let mut width = 1;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width <= columns
    };
    let kept: Vec<char> = text.chars().rev().take_while(fits).collect();
    let kept: String = kept.into_iter().rev().collect();
    format!("…{}", kept.trim_start_matches('…'))
}

/// The text with a picture for each character that would move the cursor, colour the terminal, or turn the direction of
/// what follows.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
            '\x7f' => '\u{2421}',
            '\u{80}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The same for a text that may have several lines: the second and those after it are indented.
fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n    ")
}

/// The beginning of a line with its keys and brackets, but without its values. In TOML (`assignments`) a key is
/// followed by `=`, which elsewhere is a part of a value.
fn masked(text: &str, assignments: bool) -> String {
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
            (None, '=') if assignments && is_key(&token) => {
                masked.push_str(&std::mem::take(&mut token));
                masked.push('=');
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
    !word.is_empty()
        && word.chars().all(|c| c.is_alphanumeric() || c.width() == Some(0) || matches!(c, '_' | '-' | '.'))
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(headline) = &self.headline {
            writeln!(f, "{}", self.paint("1", printable_lines(headline)))?;
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
            writeln!(f, "{}: {}", self.paint(style, head), self.paint("1", printable_lines(&diagnostic.message)))?;
            if let Some(location) = &diagnostic.location {
                self.excerpt(f, location)?;
            }
            let equals = self.paint("34;1", "=");
            if let Some(path) = &diagnostic.path {
                writeln!(f, "  {equals} in `{}`", printable(path))?;
            }
            for related in &diagnostic.related {
                let message = printable_lines(&related.message);
                match &related.location {
                    Some(location) => writeln!(f, "  {equals} {message} ({})", printable(&location.to_string()))?,
                    None => writeln!(f, "  {equals} {message}")?,
                }
            }
            for help in &diagnostic.help {
                writeln!(f, "  {equals} help: {}", printable_lines(help))?;
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
        let shown = |text: &str, column| Excerpt::of(text, &at(text, column, 3)).text;
        assert_eq!(shown("  - {type: probe, name: abc}", 25), "  - {type: …, name: abc …");
        assert_eq!(shown("plugins: [{id: \"a\", abc: 1}]", 21), "plugins: [{id: …, abc: …");
        assert_eq!(Excerpt::of("  key: x", &at("  key: x", 8, 0)).text, "  key: [hidden]");
    }

    #[test]
    fn a_span_past_the_end_of_the_line_is_clamped() {
        let diagnostic = Diagnostic::error(Code::Syntax, "x").at(&at("ab", 9, 9));
        assert!(Report::new(&[diagnostic]).to_string().contains('^'));
    }

    #[test]
    fn the_caret_stands_below_what_it_marks() {
        for (text, column, length, shown, indent, width) in [
            ("数: 5", 4, 1, "数: 5", 4, 1),
            ("{表: 1, 数: 5}", 8, 1, "{表: …, 数: …", 8, 2),
            ("e\u{301}: x", 5, 1, "e\u{301}: x", 3, 1),
            ("a:\tx\ty", 4, 3, "a: x y", 3, 3),
            ("a: \x1b[31m", 4, 5, "a: ␛[31m", 3, 5),
            ("a: \u{202e}x", 4, 2, "a: \u{fffd}x", 3, 2),
        ] {
            let excerpt = Excerpt::of(text, &at(text, column, length));
            assert_eq!((excerpt.text.as_str(), excerpt.indent, excerpt.width), (shown, indent, width), "{text:?}");
        }
    }

    #[test]
    fn a_long_line_is_trimmed_on_both_sides() {
        let text = format!("{{{}x: {}}}", "a: 1, ".repeat(1000), "表".repeat(1000));
        let excerpt = Excerpt::of(&text, &at(&text, 6005, 1000));
        assert_eq!(excerpt.text.width(), BEFORE + SPAN + 1);
        assert_eq!((excerpt.indent, excerpt.width), (BEFORE, SPAN - 1));
        assert!(excerpt.text.starts_with('…') && excerpt.text.contains("x: 表") && excerpt.text.ends_with("… …"));
    }

    #[test]
    fn no_text_of_a_finding_moves_the_cursor() {
        let diagnostic = Diagnostic::error(Code::UnknownField, "a\x1b[2J\rb\nc")
            .in_path("x\x07")
            .help("d\u{9b}")
            .related("e\x08", &at("\x1b", 1, 1));
        let report = Report::new(&[diagnostic]).to_string();
        assert!(!report.contains(|c: char| c.is_control() && c != '\n'), "{report:?}");
        assert!(report.contains("a␛[2J␍b\n    c"), "{report:?}");
    }

    #[test]
    fn colours_are_for_terminals_unless_the_user_says_otherwise() {
        for (terminal, variables, expected) in [
            (true, &[][..], true),
            (false, &[], false),
            (true, &[("NO_COLOR", "1")], false),
            (true, &[("NO_COLOR", "")], true),
            (true, &[("CLICOLOR", "0")], false),
            (true, &[("CLICOLOR", "1")], true),
            (true, &[("TERM", "dumb")], false),
            (false, &[("CLICOLOR_FORCE", "1")], true),
            (false, &[("CLICOLOR_FORCE", "0")], false),
            (false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        ] {
            let variable =
                |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(color_is_wanted(terminal, variable), expected, "{terminal} {variables:?}");
        }
    }
}
