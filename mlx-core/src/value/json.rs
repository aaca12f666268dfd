//! JSON into the value tree.

use super::{
    Entry, Map, Node, Value,
    yaml::{Fatal, MAX_DEPTH, MAX_NODES, appears_twice, nests_too_deep, too_many},
};
use crate::diagnostics::{Code, Diagnostic, Location, Source};
use std::{collections::HashMap, ops::Range, sync::Arc};

/// Reads one JSON document (RFC 8259).
///
/// # Errors
/// The first syntax error, or every key that an object has twice.
pub fn parse(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(source.text()) {
        return Err(vec![malformed(source, &error)]);
    }
    let mut walk = Walk { source, at: 0, place: Place { byte: 0, line: 1, column: 1 }, nodes: 0, found: Vec::new() };
    match walk.value(0) {
        Ok(node) if walk.found.is_empty() => Ok(node),
        Ok(_) => Err(walk.found),
        Err(fatal) => {
            walk.found.push(*fatal);
            Err(walk.found)
        }
    }
}

/// A walk through well-formed JSON, for the positions that its parser does not keep.
struct Walk<'s> {
    source: &'s Arc<Source>,
    at: usize,
    /// The last position that was asked for: counting goes on from there, as all of a document may be one line.
    place: Place,
    nodes: usize,
    found: Vec<Diagnostic>,
}

/// A byte, and the line and column that it stands in.
struct Place {
    byte: usize,
    line: u32,
    column: u32,
}

impl<'s> Walk<'s> {
    fn text(&self) -> &'s str {
        self.source.text()
    }

    /// What comes next. Where a comma or a colon stands has been seen to.
    fn next(&mut self) -> Option<u8> {
        let rest = self.text().as_bytes().get(self.at..)?;
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':')).count();
        self.text().as_bytes().get(self.at).copied()
    }

    /// The position of bytes of one line, none of them before those that were asked for last.
    fn location(&mut self, bytes: Range<usize>) -> Location {
        let text = self.text().as_bytes();
        let place = &mut self.place;
        for at in place.byte..bytes.start.min(text.len()) {
            match text[at] {
                b'\n' => (place.line, place.column) = (place.line.saturating_add(1), 1),
                b'\r' if text.get(at + 1) != Some(&b'\n') => {
                    (place.line, place.column) = (place.line.saturating_add(1), 1);
                }
                byte if begins_a_character(byte) => place.column = place.column.saturating_add(1),
                _ => {}
            }
        }
        place.byte = bytes.start;
        let length = text.get(bytes).unwrap_or_default().iter().filter(|byte| begins_a_character(**byte)).count();
        Location {
            source: self.source.clone(),
            line: place.line,
            column: place.column,
            length: u32::try_from(length.max(1)).unwrap_or(u32::MAX),
        }
    }

    fn count(&mut self) -> Result<(), Fatal> {
        self.nodes += 1;
        match self.nodes > MAX_NODES {
            true => Err(too_many(&self.location(self.at..self.at + 1))),
            false => Ok(()),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fatal> {
        let next = self.next();
        self.count()?;
        let start = self.at;
        if matches!(next, Some(b'{' | b'[')) {
            let location = self.location(start..start + 1);
            if depth == MAX_DEPTH {
                let message = format!("lists and objects nest deeper than {MAX_DEPTH} levels");
                return Err(nests_too_deep(message, &location));
            }
            self.at += 1;
            let value = match next {
                Some(b'{') => Value::Map(self.map(depth + 1)?),
                _ => Value::List(self.list(depth + 1)?),
            };
            self.at += 1;
            return Ok(Node { value, location: Some(location) });
        }
        let value = match next {
            Some(b'"') => Value::String(self.string()?),
            _ => {
                let rest = self.text().get(start..).unwrap_or_default();
                let ends = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | ',' | ']' | '}');
                self.at += rest.find(ends).unwrap_or(rest.len()).max(1);
                Value::from_scalar(rest.get(..self.at - start).unwrap_or_default())
            }
        };
        Ok(Node { value, location: Some(self.location(start..self.at)) })
    }

    /// The items up to the bracket that closes them.
    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Fatal> {
        let mut items = Vec::new();
        while self.next().is_some_and(|next| next != b']') {
            items.push(self.value(depth)?);
        }
        Ok(items)
    }

    /// The entries up to the brace that closes them.
    fn map(&mut self, depth: usize) -> Result<Map, Fatal> {
        let mut map = Map::default();
        let mut seen: HashMap<String, Location> = HashMap::new();
        while self.next().is_some_and(|next| next != b'}') {
            self.count()?;
            let start = self.at;
            let key = self.string()?;
            let location = self.location(start..self.at);
            let value = self.value(depth)?;
            match seen.get(&key) {
                Some(first) => self.found.push(appears_twice(&key, &location, first)),
                None => {
                    seen.insert(key.clone(), location.clone());
                    map.push(Entry { key, key_location: Some(location), value });
                }
            }
        }
        Ok(map)
    }

    /// The text in quotes that begins here.
    fn string(&mut self) -> Result<String, Fatal> {
        let start = self.at;
        let rest = self.text().as_bytes().get(start..).unwrap_or_default();
        let mut escaped = false;
        let closing = rest.iter().skip(1).position(|byte| {
            let closes = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        });
        self.at += closing.map_or(rest.len(), |closing| closing + 2).max(1);
        let quoted = self.text().get(start..self.at).unwrap_or_default();
        if !quoted.contains('\\') {
            return Ok(quoted.trim_matches('"').to_owned());
        }
        serde_json::from_str(quoted).map_err(|error| {
            // Half of a surrogate pair is well-formed, and no character.
            let at = self.location(start..self.at);
            Box::new(Diagnostic { location: Some(at), ..malformed(self.source, &error) })
        })
    }
}

/// Whether a byte of UTF-8 is the first one of a character.
fn begins_a_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
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
    fn positions_are_those_of_yaml() {
        for text in [
            "{\n  \"a\": [1, \"x\", {}, [] ,true],\r\n  \"ü\": {\"b\":null,\"c\" : \"é \\\" \\\\\"}, \"d\": -1.5e3\n}\n",
            "[]",
            " \"x\" ",
            "12",
            "[[[1],[2]],{\"\":\"\"}]",
            include_str!("../../../docs/schemas/diagnostics.schema.json"),
        ] {
            let source = Source::new("t.json", text);
            let (json, yaml) = (parse(&source).unwrap(), crate::value::yaml::parse(&source).unwrap());
            assert_eq!(json, yaml, "{text}");
        }
    }

    #[test]
    fn what_yaml_does_not_take_is_json_all_the_same() {
        let long = "k".repeat(2000);
        let text = format!("{{\"<<\": 1, \"{long}\": \"\\ud83e\\udd80\"}}");
        let node = parse(&Source::new("t.json", &*text)).unwrap();
        assert_eq!(node.to_json(), serde_json::json!({"<<": 1, long.as_str(): "🦀"}));
        let at = node.as_map().unwrap().entry(&long).unwrap().value.location.as_ref().unwrap();
        assert_eq!((at.column, at.length), (2015, 14));
    }

    #[test]
    fn half_a_pair_is_no_character() {
        let found = parse(&Source::new("t.json", "{\n  \"a\": \"\\ud83e\"\n}")).unwrap_err();
        assert_eq!(found[0].code, Code::Syntax);
        assert_eq!(found[0].location.as_ref().unwrap().to_string(), "t.json:2:8");
        assert_eq!(found[0].message, "a `\\` begins no known escape");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        let many = format!("[{}1]", "1,".repeat(MAX_NODES));
        for text in [deep, many] {
            assert_eq!(parse(&Source::new("t.json", text)).unwrap_err()[0].code, Code::TooLarge);
        }
    }

    #[test]
    fn escapes_mean_what_json_says() {
        let text = r#"["\/ \u00e9 \ud83e\udd80 \t \"q\""]"#;
        let node = parse(&Source::new("t.json", text)).unwrap();
        assert_eq!(node.to_json(), serde_json::from_str::<serde_json::Value>(text).unwrap());
    }
}
