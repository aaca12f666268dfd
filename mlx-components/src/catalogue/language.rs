//! Which part of the template language may be used.
//!
//! The engine counts the work and the memory of most of what a template does, but a list that holds another one twice costs it
//! nothing until it is written out: forty of those are more than any machine has. So a template makes no lists and mappings of
//! its own, other than lists of constants; those that it is given are finite.

use mlx_core::{
    Diagnostic,
    diagnostics::{Code, Source, listing},
};
use std::{ops::Range, sync::Arc};

/// The statements that there are.
const STATEMENTS: [&str; 10] = ["if", "elif", "else", "endif", "for", "endfor", "set", "endset", "raw", "endraw"];

/// Words after which a bracket opens an operand.
const OPERATORS: [&str; 12] =
    ["and", "or", "not", "in", "is", "if", "elif", "else", "for", "set", "recursive", "return"];

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// Text that stands as it is.
    Text(Range<usize>),
    /// `{{ … }}`: its tokens, and all of it.
    Output(Vec<Token>, Range<usize>),
    /// `{% … %}`.
    Statement(Vec<Token>),
}

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) bytes: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenKind {
    Name,
    Number,
    Text,
    /// One character, or `**`, `//`, `==` and their like.
    Sign,
}

/// The parts of a template. What is malformed ends the list; the engine says what is wrong with it.
pub(super) fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    let mut raw = false;
    while at < text.len() {
        let opening = text[at..].match_indices('{').map(|(found, _)| at + found).find(|found| {
            let follows = text.as_bytes().get(found + 1);
            matches!(follows, Some(b'%')) || (!raw && matches!(follows, Some(b'{' | b'#')))
        });
        let Some(opening) = opening else {
            parts.push(Part::Text(at..text.len()));
            return parts;
        };
        if opening > at {
            parts.push(Part::Text(at..opening));
        }
        match text.as_bytes().get(opening + 1) {
            Some(b'#') => match text[opening..].find("#}") {
                Some(end) => at = opening + end + 2,
                None => return parts,
            },
            Some(b'{') => {
                let (tokens, end) = tokens(text, opening + 2, "}}");
                parts.push(Part::Output(tokens, opening..end));
                at = end;
            }
            _ => {
                let (tokens, end) = tokens(text, opening + 2, "%}");
                let word = tokens.first().map_or("", |token| &text[token.bytes.clone()]);
                if raw && word != "endraw" {
                    // Text that looks like a statement.
                    parts.push(Part::Text(opening..opening + 2));
                    at = opening + 2;
                    continue;
                }
                raw = word == "raw";
                parts.push(Part::Statement(tokens));
                at = end;
            }
        }
    }
    parts
}

/// The tokens up to `end`, and where that is over.
fn tokens(text: &str, mut at: usize, end: &str) -> (Vec<Token>, usize) {
    let mut tokens = Vec::new();
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        let rest = &text[at..];
        if !end.is_empty() && (rest.starts_with(end) || (matches!(byte, b'-' | b'+') && rest[1..].starts_with(end))) {
            return (tokens, at + end.len() + usize::from(!rest.starts_with(end)));
        }
        let length = |inside: fn(char) -> bool| rest.find(|c| !inside(c)).unwrap_or(rest.len());
        let (kind, length) = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'"' | b'\'' => (TokenKind::Text, quoted_length(rest, *byte)),
            b'0'..=b'9' => (TokenKind::Number, length(|c| c.is_ascii_alphanumeric() || c == '_')),
            _ if rest.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                (TokenKind::Name, length(|c| c.is_alphanumeric() || c == '_'))
            }
            _ if ["**", "//", "==", "!=", "<=", ">="].iter().any(|sign| rest.starts_with(sign)) => (TokenKind::Sign, 2),
            _ => (TokenKind::Sign, rest.chars().next().map_or(1, char::len_utf8)),
        };
        tokens.push(Token { kind, bytes: at..at + length });
        at += length;
    }
    (tokens, text.len())
}

/// The length of a text in quotes at the beginning of another.
fn quoted_length(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Refuses what is no part of the language.
///
/// # Errors
/// The first such thing, at its place.
pub(super) fn check(template: &Arc<Source>) -> Result<(), Box<Diagnostic>> {
    let text = template.text();
    for part in parts(text) {
        let found = match &part {
            Part::Text(_) => None,
            Part::Output(tokens, _) => fault(text, tokens),
            Part::Statement(tokens) => statement_fault(text, tokens),
        };
        if let Some((bytes, message, help)) = found {
            let found = Diagnostic::error(Code::BadTemplate, message);
            return Err(Box::new(found.at(&template.span(bytes)).help(help)));
        }
    }
    Ok(())
}

/// Refuses what is no part of the language in an expression.
///
/// # Errors
/// What it is.
pub(super) fn check_expression(text: &str) -> Result<(), String> {
    fault(text, &expression(text)).map_or(Ok(()), |(_, message, _)| Err(message))
}

/// The tokens of an expression.
pub(super) fn expression(text: &str) -> Vec<Token> {
    tokens(text, 0, "").0
}

type Fault = (Range<usize>, String, String);

fn statement_fault(text: &str, tokens: &[Token]) -> Option<Fault> {
    let first = tokens.first()?;
    let word = &text[first.bytes.clone()];
    if !STATEMENTS.contains(&word) {
        let help = format!("the statements are {}", listing(STATEMENTS));
        return Some((first.bytes.clone(), format!("`{word}` is no statement of a template"), help));
    }
    // `for key, value in …`
    let names = match word {
        "for" => tokens.iter().position(|token| &text[token.bytes.clone()] == "in").unwrap_or_default(),
        _ => 1,
    };
    fault(text, &tokens[names.min(tokens.len())..])
}

fn fault(text: &str, tokens: &[Token]) -> Option<Fault> {
    let word = |token: &Token| &text[token.bytes.clone()];
    // The brackets that are open: of a call or an index (`true`), or of an operand.
    let mut open: Vec<(&str, bool)> = Vec::new();
    let refuse =
        |token: &Token, message: &str, help: &str| Some((token.bytes.clone(), message.to_owned(), help.to_owned()));
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        let after_operand = before.is_some_and(|before| match before.kind {
            TokenKind::Name => !OPERATORS.contains(&word(before)),
            TokenKind::Number | TokenKind::Text => true,
            TokenKind::Sign => matches!(word(before), ")" | "]"),
        });
        let in_list = open.last().is_some_and(|(bracket, of_operand)| *bracket == "[" && !of_operand);
        match (token.kind, word(token)) {
            (TokenKind::Sign, bracket @ ("(" | "[")) => open.push((bracket, after_operand)),
            (TokenKind::Sign, ")" | "]") => {
                open.pop();
            }
            (TokenKind::Sign, "{" | "}") => {
                return refuse(token, "a template makes no mappings", "let the component ask for what is needed");
            }
            (TokenKind::Sign, "~") => {
                return refuse(token, "`~` is no part of the templates here", "write one `{{ … }}` after the other");
            }
            (TokenKind::Sign, "+") => {
                let number = |token: Option<&Token>| token.is_some_and(|token| token.kind == TokenKind::Number);
                if !number(before) && !number(tokens.get(at + 1)) {
                    return refuse(
                        token,
                        "a template adds numbers that stand there: `loop.index + 1`",
                        "write one `{{ … }}` after the other to join texts",
                    );
                }
            }
            (TokenKind::Sign, "*") => {
                let number = |token: Option<&Token>| token.is_some_and(|token| token.kind == TokenKind::Number);
                if !(number(before) || number(tokens.get(at + 1))) || in_list {
                    return refuse(token, "a template multiplies by numbers that stand there", "use a `for`");
                }
            }
            (TokenKind::Sign, ",") => match open.last() {
                None | Some(("(", false)) => {
                    return refuse(
                        token,
                        "a template makes no lists but of constants",
                        "let the component ask for what is needed",
                    );
                }
                _ => {}
            },
            (TokenKind::Sign, "-") => {}
            (TokenKind::Number | TokenKind::Text, _) => {}
            (TokenKind::Name, "true" | "false" | "none" | "True" | "False" | "None") => {}
            _ if in_list => {
                return refuse(
                    token,
                    "a template makes no lists but of constants",
                    "let the component ask for what is needed",
                );
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<String> {
        check(&Source::new("a.template", text)).err().map(|found| found.message)
    }

    #[test]
    fn what_templates_need_is_part_of_the_language() {
        for text in [
            "{{ a }} {{- a.b['c'] | upper | default('x', true) -}}",
            "{% for key, value in a | items if value is not none %}{{ key }}: {{ value | json }}{% else %}none{% endfor %}",
            "{% for word in [\"a\", \"b\", -1, true] %}{{ word | rust_str }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "{% if a in [\"x\", 'y'] and (b or not c) and x == \"~\" %}{% elif \"m\" in components %}{% endif %}",
            "{% set n = loop.index + 1 %}{{ a[n - 1] }}{{ range(1, 5) }}{{ n * 2 }}",
            "{% raw %}{{ a ~ b }} {% set x = {} %}{% endraw %}{{ a }}",
            "{# {{ a ~ b }} #} ${env:NAME} fn main() { let a = (1, 2); }",
            "{{ '}} %} {{ ~' }}",
        ] {
            assert_eq!(refused(text), None, "{text}");
        }
    }

    #[test]
    fn what_makes_more_of_little_is_not() {
        let list = "a template makes no lists but of constants";
        for (text, message) in [
            ("{% set a = [a, a] %}", list),
            ("{{ [x] }}", list),
            ("{% for a in (b, c) %}{% endfor %}", list),
            ("{% for a in b, c %}{% endfor %}", list),
            ("{% set a = b, c %}", list),
            ("{{ a in (b, c) }}", list),
            ("{{ [[1, a]] }}", list),
            ("{{ [f(a)] }}", list),
            ("{{ {'a': b} }}", "a template makes no mappings"),
            ("{% set a = a ~ a %}", "`~` is no part of the templates here"),
            ("{% set a = a + a %}", "a template adds numbers that stand there: `loop.index + 1`"),
            ("{% set a = a * b %}", "a template multiplies by numbers that stand there"),
            ("{% with a = 1 %}{% endwith %}", "`with` is no statement of a template"),
            ("{% include 'x' %}", "`include` is no statement of a template"),
            ("{% macro a() %}{% endmacro %}", "`macro` is no statement of a template"),
            ("{% endraw %}{% autoescape true %}", "`autoescape` is no statement of a template"),
        ] {
            assert_eq!(refused(text).as_deref(), Some(message), "{text}");
        }
        assert_eq!(check_expression("a in [b]").unwrap_err(), list);
        assert_eq!(check_expression("\"a\" in components and not b"), Ok(()));
    }

    #[test]
    fn no_damage_to_a_template_panics() {
        let text = "a {{ b | c('d') }} {% if e['f'] + 1 == [1, 'ü'] %}{# g #}{% raw %}{{{% endraw %} ü {% endif %}";
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let _ = parts(&text[at..]);
            let _ = parts(&text[..at]);
            for c in ["{", "}", "%", "'", "\"", "\\", "[", ")", ",", "ü"] {
                let damaged = format!("{}{c}{}", &text[..at], &text[at..]);
                let _ = check(&Source::new("a", damaged));
            }
        }
    }
}
