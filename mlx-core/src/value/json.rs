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
        let number = |n: usize| u32::try_from(n.max(1)).unwrap_or(u32::MAX);
        let location =
            Location { source: source.clone(), line: number(error.line()), column: number(error.column()), length: 1 };
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        return Err(vec![Diagnostic::error(Code::Syntax, message).at(&location)]);
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
