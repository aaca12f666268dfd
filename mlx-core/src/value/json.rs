//! JSON into the value tree.

use super::{Node, yaml};
use crate::diagnostics::{Code, Diagnostic, Location, Source};
use std::sync::Arc;

/// Reads one JSON document (RFC 8259).
///
/// # Errors
/// The first syntax error, or every key that an object has twice.
pub fn parse(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(source.text()) {
        return Err(vec![malformed(source, &error)]);
    }
    // Well-formed JSON is YAML 1.2, whose reader keeps the positions. It knows no surrogate pairs (`\ud83e\udd80`);
    // a text that has them is read without positions.
    match yaml::parse(source) {
        Err(found) if found.iter().any(|diagnostic| diagnostic.code == Code::Syntax) => {
            serde_json::from_str::<serde_json::Value>(source.text()).map(Node::from).map_err(|_| found)
        }
        read => read,
    }
}

/// What the parser says, in words of who wrote the file.
fn malformed(source: &Arc<Source>, error: &serde_json::Error) -> Diagnostic {
    // The parser counts bytes, and lines by `\n` alone; at the end of a line it counts one too few.
    let text = source.text();
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let (line, column) = source.line_and_column(before + error.column().saturating_sub(1));
    let at = Location { source: source.clone(), line, column, length: 1 };
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or(&said);
    if said == "recursion limit exceeded" {
        let message = format!("lists and objects nest deeper than {} levels", yaml::MAX_DEPTH);
        return Diagnostic::error(Code::TooLarge, message).at(&at).help("give the values in fewer levels");
    }
    let marked = source.line(line).and_then(|text| text.chars().nth(column as usize - 1));
    let (message, help) = match (said, marked) {
        ("key must be a string", Some('}')) | ("trailing comma", _) => {
            ("a comma after the last value", "remove the comma: JSON takes none there")
        }
        (_, Some('/' | '#')) => ("JSON has no comments", "remove it, or keep the composition in YAML, which has"),
        (_, Some('\'')) => ("JSON has no single quotes", "put the text in double quotes"),
        ("key must be a string", _) => ("a key without quotes", "put the key in double quotes"),
        ("trailing characters", _) => ("more text after the end of the document", "a file holds one JSON value"),
        ("invalid number", _) => ("malformed number", "write a number without leading zeros, or a text in quotes"),
        ("control character (\\u0000-\\u001F) found while parsing a string", _) => {
            ("a line break or another control character in a text", "write it as an escape: `\\n`, `\\t`, `\\u0007`")
        }
        ("invalid escape" | "lone leading surrogate in hex escape" | "unexpected end of hex escape", _) => {
            ("a `\\` begins no known escape", "write `\\\\` for a backslash")
        }
        ("expected ident" | "expected value", _) => (
            "a value is expected here",
            "write a text in double quotes, a number, `true`, `false`, `null`, a list or an object",
        ),
        ("EOF while parsing a value", _) if text.trim().is_empty() => {
            ("the file is empty", "a composition without anything is `{}`")
        }
        _ if said.starts_with("EOF while") => {
            ("the text ends too early", "close what is open: a quote, a bracket or a brace")
        }
        _ => (said, "separate values with `,` and keys from values with `:`"),
    };
    Diagnostic::error(Code::Syntax, message).at(&at).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive() {
        let node = parse(&Source::new("t.json", "{\n  \"a\": [1, \"x\"]\n}")).unwrap();
        let entry = node.as_map().unwrap().entry("a").unwrap();
        assert_eq!(entry.key_location.as_ref().unwrap().to_string(), "t.json:2:3");
        assert_eq!(node.to_json(), serde_json::json!({"a": [1, "x"]}));
    }

    #[test]
    fn text_that_only_yaml_accepts_is_refused() {
        let found = parse(&Source::new("t.json", "{\n  a: 1\n}")).unwrap_err();
        assert_eq!((found[0].code, found[0].location.as_ref().unwrap().line), (Code::Syntax, 2));
    }

    #[test]
    fn a_duplicate_key_is_refused() {
        assert_eq!(parse(&Source::new("t.json", r#"{"a": 1, "a": 2}"#)).unwrap_err()[0].code, Code::DuplicateKey);
    }

    #[test]
    fn escapes_mean_what_json_says() {
        let text = r#"["\/ \u00e9 \ud83e\udd80 \t \"q\""]"#;
        let node = parse(&Source::new("t.json", text)).unwrap();
        assert_eq!(node.to_json(), serde_json::from_str::<serde_json::Value>(text).unwrap());
    }
}
