//! A JSON scanner (RFC 8259) that keeps the position of every key and value.
//!
//! It accepts what the standard accepts and nothing else, reports the first violation in
//! words for the person who typed it, and returns for any bytes: the depth is bounded, so is the
//! work.

use std::collections::HashMap;
use std::fmt;

use crate::suggest;

/// Values nested deeper than this are refused; each level is a stack frame here and in everything
/// that walks the tree afterwards.
pub(super) const MAX_DEPTH: usize = 128;

/// Of each name the first place in a list that has it.
pub(super) type Names = HashMap<String, usize>;

/// Where a value begins. Both count from 1, columns in characters.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Something wrong at a position of the file.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Fault {
    pub(super) at: Position,
    pub(super) message: String,
}

#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum Value {
    Null,
    Boolean(bool),
    /// As written: the type that reads it decides how much precision it needs.
    Number(String),
    String(String),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Member {
    /// Of the key.
    pub(super) at: Position,
    pub(super) key: String,
    pub(super) node: Node,
}

impl Node {
    /// The value in a message: `the string "yes"`, `an array`.
    pub(super) fn found(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Boolean(value) => value.to_string(),
            Value::Number(text) => format!("the number {}", shown(text)),
            Value::String(text) => format!("the string \"{}\"", shown(text)),
            Value::Array(_) => "an array".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        }
    }
}

/// Text of the file as a message can carry it: short, and on one line.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Reads one JSON document.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, Fault> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            return Err(Scanner::new(valid).fault(valid.len(), "the file is not UTF-8"));
        }
    };
    let mut scanner = Scanner::new(text);
    if text.starts_with('\u{feff}') {
        let message = "the file begins with a byte order mark; save it as UTF-8 without one";
        return Err(scanner.fault(0, message));
    }
    let node = scanner.value(0)?;
    scanner.space();
    if scanner.at < text.len() {
        return Err(scanner.expected("the end of the file"));
    }
    Ok(node)
}

struct Scanner<'a> {
    text: &'a str,
    /// Offset of the next character.
    at: usize,
    /// The last offset whose position was asked for. Offsets are asked for in ascending order, so
    /// that the text is counted through once.
    marked: usize,
    mark: Position,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, marked: 0, mark: Position::START }
    }

    fn position(&mut self, at: usize) -> Position {
        for c in self.text.get(self.marked..at).unwrap_or_default().chars() {
            if c == '\n' {
                self.mark.line += 1;
                self.mark.column = 1;
            } else {
                self.mark.column += 1;
            }
        }
        self.marked = self.marked.max(at);
        self.mark
    }

    fn fault(&mut self, at: usize, message: impl Into<String>) -> Fault {
        Fault { at: self.position(at), message: message.into() }
    }

    fn expected(&mut self, what: &str) -> Fault {
        let found = match self.rest().chars().next() {
            None => "the end of the file".to_owned(),
            Some(_) if !self.word().is_empty() => format!("`{}`", shown(self.word())),
            Some('"') => "a string".to_owned(),
            Some(c) => format!("`{}`", shown(c.encode_utf8(&mut [0; 4]))),
        };
        let hint = match self.byte() {
            Some(b'/' | b'#') => "; JSON has no comments",
            Some(b'\'') => "; JSON takes double quotes",
            _ => "",
        };
        self.fault(self.at, format!("expected {what}, found {found}{hint}"))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over this byte, if it is the next.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The letters, digits and underscores that come next.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        self.space();
        let at = self.position(self.at);
        let value = match self.byte() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => {
                let message = format!("nested deeper than {MAX_DEPTH} levels");
                return Err(self.fault(self.at, message));
            }
            Some(b'{') => Value::Object(self.object(at, depth)?),
            Some(b'[') => Value::Array(self.array(at, depth)?),
            Some(b'"') => Value::String(self.string(at)?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            _ => self.literal()?,
        };
        Ok(Node { at, value })
    }

    fn literal(&mut self) -> Result<Value, Fault> {
        let word = self.word();
        let value = match word {
            "null" => Value::Null,
            "true" => Value::Boolean(true),
            "false" => Value::Boolean(false),
            _ => {
                let mut fault = self.expected("a value");
                if let Some(near) = suggest::nearest(word, &["null", "true", "false"]) {
                    fault.message += &format!("; did you mean `{near}`?");
                } else if !word.is_empty() {
                    fault.message += "; text takes double quotes";
                }
                return Err(fault);
            }
        };
        self.at += word.len();
        Ok(value)
    }

    fn array(&mut self, open: Position, depth: usize) -> Result<Vec<Node>, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth + 1)?);
            if !self.comma(b']', "array", open)? {
                return Ok(items);
            }
        }
    }

    fn object(&mut self, open: Position, depth: usize) -> Result<Vec<Member>, Fault> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.eat(b'}') {
            return Ok(members);
        }
        loop {
            if self.byte() != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let at = self.position(self.at);
            let key = self.string(at)?;
            self.space();
            if !self.eat(b':') {
                return Err(self.expected(&format!("`:` after the key `{}`", shown(&key))));
            }
            let node = self.value(depth + 1)?;
            members.push(Member { at, key, node });
            if !self.comma(b'}', "object", open)? {
                return Ok(members);
            }
        }
    }

    /// After an element: whether another one follows.
    fn comma(&mut self, close: u8, what: &str, open: Position) -> Result<bool, Fault> {
        self.space();
        if self.eat(close) {
            return Ok(false);
        }
        let comma = self.at;
        if self.eat(b',') {
            self.space();
            if self.byte() == Some(close) {
                let close = char::from(close);
                return Err(self.fault(comma, format!("JSON takes no comma before `{close}`")));
            }
            return Ok(true);
        }
        let close = char::from(close);
        Err(self.expected(&format!("`,` or `{close}` in the {what} begun at {open}")))
    }

    fn string(&mut self, open: Position) -> Result<String, Fault> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let stop = rest.find(|c| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            text.push_str(rest.get(..stop).unwrap_or_default());
            self.at += stop;
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(control @ (b'\n' | b'\r' | b'\t')) => {
                    let escape = char::from(control).escape_default();
                    let message = format!("the string begun at {open} takes no line break or tab; write `{escape}`");
                    return Err(self.fault(self.at, message));
                }
                Some(control) => {
                    let message = format!("write this control character as `\\u{control:04x}`");
                    return Err(self.fault(self.at, message));
                }
                None => {
                    let message = format!("the string begun at {open} is not closed");
                    return Err(self.fault(self.at, message));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        self.at += 1;
        let c = match self.byte() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => {
                let message = "unknown escape; a backslash itself is written `\\\\`";
                return Err(self.fault(start, message));
            }
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Fault> {
        let mut code = self.unit(start)?;
        // Two halves make a character beyond the first 65,536.
        if matches!(code, 0xd800..0xdc00) && self.rest().starts_with("\\u") {
            self.at += 1;
            let low = self.unit(start)?;
            if matches!(low, 0xdc00..0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            }
        }
        char::from_u32(code).ok_or_else(|| self.fault(start, "half of a surrogate pair is no character"))
    }

    /// The number in `uXXXX`.
    fn unit(&mut self, start: usize) -> Result<u32, Fault> {
        let mut unit = 0;
        for nth in 1..=4 {
            let digit = self.text.as_bytes().get(self.at + nth).and_then(|digit| char::from(*digit).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.fault(start, "expected four hexadecimal digits after `\\u`"));
            };
            unit = unit * 16 + digit;
        }
        self.at += 5;
        Ok(unit)
    }

    fn number(&mut self) -> Result<String, Fault> {
        let start = self.at;
        self.eat(b'-');
        let integer = self.at;
        self.digits()?;
        if self.at - integer > 1 && self.text.as_bytes().get(integer) == Some(&b'0') {
            return Err(self.fault(integer, "a number takes no leading zero"));
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'-') {
                self.eat(b'+');
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default().to_owned())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.expected("a digit"));
        }
        Ok(())
    }
}

/// Every key that repeats one of the same object, anywhere in the file.
pub(super) fn duplicate_keys(node: &Node) -> Vec<Fault> {
    let mut faults = Vec::new();
    collect_duplicates(node, &mut Vec::new(), &mut faults);
    faults
}

fn collect_duplicates<'a>(node: &'a Node, path: &mut Vec<&'a str>, faults: &mut Vec<Fault>) {
    match &node.value {
        Value::Array(items) => {
            path.push("[]");
            for item in items {
                collect_duplicates(item, path, faults);
            }
            path.pop();
        }
        Value::Object(members) => {
            let mut seen = Names::default();
            for (nth, member) in members.iter().enumerate() {
                if let Some(first) = seen.get(&member.key) {
                    let (key, within, first) = (shown(&member.key), within(path), members[*first].at);
                    let message = format!("duplicate key `{key}`{within}; the first is at {first}");
                    faults.push(Fault { at: member.at, message });
                } else {
                    seen.insert(member.key.clone(), nth);
                }
            }
            for member in members {
                path.push(&member.key);
                collect_duplicates(&member.node, path, faults);
                path.pop();
            }
        }
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn within(path: &[&str]) -> String {
    if path.is_empty() {
        return String::new();
    }
    let mut joined = String::new();
    for (nth, part) in path.iter().enumerate() {
        let dot = if nth == 0 || *part == "[]" { "" } else { "." };
        joined.push_str(dot);
        joined.push_str(part);
    }
    format!(" in `{}`", shown(&joined))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let fault = parse(text.as_bytes()).unwrap_err();
        format!("{} {}", fault.at, fault.message)
    }

    fn value(text: &str) -> Value {
        parse(text.as_bytes()).unwrap().value
    }

    #[test]
    fn every_kind_of_value() {
        assert_eq!(value("null"), Value::Null);
        assert_eq!(value(" true "), Value::Boolean(true));
        assert_eq!(value("\r\n\tfalse"), Value::Boolean(false));
        assert_eq!(value("[]"), Value::Array(vec![]));
        assert_eq!(value("{ }"), Value::Object(vec![]));
        for number in ["0", "-0", "10", "1.50", "1e5", "-1.0E-05", "2e+1", "99999999999999999999"] {
            assert_eq!(value(number), Value::Number(number.to_owned()));
        }
        assert_eq!(
            value(r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#),
            Value::String("a\"\\/\u{8}\u{c}\n\r\té😀é".to_owned())
        );
    }

    #[test]
    fn positions_count_characters() {
        let node = parse("{\n  \"größe\": [1,\r\n \"é\", {}]\n}".as_bytes()).unwrap();
        let Value::Object(members) = node.value else {
            panic!("an object");
        };
        assert_eq!(members[0].at.to_string(), "2:3");
        assert_eq!(members[0].node.at.to_string(), "2:12");
        let Value::Array(items) = &members[0].node.value else {
            panic!("an array");
        };
        let at: Vec<_> = items.iter().map(|item| item.at.to_string()).collect();
        assert_eq!(at, ["2:13", "3:2", "3:7"]);
    }

    #[test]
    fn a_violation_is_named_where_it_stands() {
        for (text, message) in [
            ("", "1:1 expected a value, found the end of the file"),
            ("{\n", "2:1 expected a key in double quotes, found the end of the file"),
            ("{\"a\": 1\n", "2:1 expected `,` or `}` in the object begun at 1:1, found the end of the file"),
            ("[1 2]", "1:4 expected `,` or `]` in the array begun at 1:1, found `2`"),
            ("{\"a\": 1 \"b\": 2}", "1:9 expected `,` or `}` in the object begun at 1:1, found a string"),
            ("[1,]", "1:3 JSON takes no comma before `]`"),
            ("{\"a\":1 , }", "1:8 JSON takes no comma before `}`"),
            ("[,1]", "1:2 expected a value, found `,`"),
            ("{a: 1}", "1:2 expected a key in double quotes, found `a`"),
            ("{'a': 1}", "1:2 expected a key in double quotes, found `'`; JSON takes double quotes"),
            ("{\"a\" 1}", "1:6 expected `:` after the key `a`, found `1`"),
            ("{\"a\":}", "1:6 expected a value, found `}`"),
            ("// c\n{}", "1:1 expected a value, found `/`; JSON has no comments"),
            ("{} x", "1:4 expected the end of the file, found `x`"),
            ("True", "1:1 expected a value, found `True`; did you mean `true`?"),
            ("yes", "1:1 expected a value, found `yes`; text takes double quotes"),
            ("-", "1:2 expected a digit, found the end of the file"),
            ("1.", "1:3 expected a digit, found the end of the file"),
            ("[1.e3]", "1:4 expected a digit, found `e3`"),
            ("1e+", "1:4 expected a digit, found the end of the file"),
            ("-01", "1:2 a number takes no leading zero"),
            ("+1", "1:1 expected a value, found `+`"),
            (".5", "1:1 expected a value, found `.`"),
            ("\"a", "1:3 the string begun at 1:1 is not closed"),
            ("\"a\nb\"", "1:3 the string begun at 1:1 takes no line break or tab; write `\\n`"),
            ("\"\u{1}\"", "1:2 write this control character as `\\u0001`"),
            ("\"\\x\"", "1:2 unknown escape; a backslash itself is written `\\\\`"),
            ("\"\\", "1:2 unknown escape; a backslash itself is written `\\\\`"),
            ("\"\\u12g4\"", "1:2 expected four hexadecimal digits after `\\u`"),
            ("\"\\u+123\"", "1:2 expected four hexadecimal digits after `\\u`"),
            ("\"\\u12", "1:2 expected four hexadecimal digits after `\\u`"),
            ("\"\\u12é", "1:2 expected four hexadecimal digits after `\\u`"),
            ("\"\\ud800\"", "1:2 half of a surrogate pair is no character"),
            ("\"\\udc00\"", "1:2 half of a surrogate pair is no character"),
            ("\"\\ud800\\u0041\"", "1:2 half of a surrogate pair is no character"),
            ("\u{feff}{}", "1:1 the file begins with a byte order mark; save it as UTF-8 without one"),
            ("\u{a0}{}", "1:1 expected a value, found `\u{a0}`"),
            ("\0", "1:1 expected a value, found `\\u{0}`"),
        ] {
            assert_eq!(fault(text), message, "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_have_a_position() {
        let fault = parse(b"{\n \"a\": \"\xff\"}").unwrap_err();
        assert_eq!(fault.at.to_string(), "2:8");
        assert_eq!(fault.message, "the file is not UTF-8");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(fault(&nested(MAX_DEPTH + 1)), "1:129 nested deeper than 128 levels");
        assert_eq!(fault(&"[".repeat(1 << 20)), "1:129 nested deeper than 128 levels");
        let objects = "{\"a\":".repeat(1 << 18);
        assert_eq!(fault(&objects), "1:641 nested deeper than 128 levels");
    }

    #[test]
    fn a_megabyte_on_one_line_is_counted_once() {
        let text = format!("[{}]", ["1"; 1 << 19].join(","));
        let Value::Array(items) = value(&text) else {
            panic!("an array");
        };
        assert_eq!(items.last().unwrap().at.column, text.len() - 1);
    }

    #[test]
    fn no_cut_or_swapped_byte_panics() {
        let text = "{\"é\\ud83d\\ude00\": [1.5e-3, true, null, {\"b\": \"\\n\"}], \"c\": -0}".as_bytes();
        assert!(parse(text).is_ok());
        for end in 0..text.len() {
            assert!(parse(&text[..end]).is_err());
        }
        for at in 0..text.len() {
            for byte in 0..=u8::MAX {
                let mut text = text.to_vec();
                text[at] = byte;
                let _ = parse(&text);
            }
        }
    }

    #[test]
    fn short_texts_of_awkward_bytes_do_not_panic() {
        const BYTES: &[u8] = b"{}[]:,\"\\u0-.eE+tn /\n\x00\x7f\x80\xc3\xed\xf0\xff";
        for &a in BYTES {
            for &b in BYTES {
                for &c in BYTES {
                    let _ = parse(&[a, b, c]);
                    let _ = parse(&[b'"', a, b, c]);
                    let _ = parse(&[b'{', b'"', a, b'"', b, c]);
                    let _ = parse(&[b'"', b'\\', b'u', a, b, c, b'0', b'"']);
                }
            }
        }
    }

    #[test]
    fn a_repeated_key_is_found_at_any_depth() {
        let text = "{\"a\": 1,\n \"a\": [{\"b\": 1, \"b\": {\"c\": 1, \"\\u0063\": 2}}]}";
        let faults = duplicate_keys(&parse(text.as_bytes()).unwrap());
        let faults: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.at, fault.message)).collect();
        assert_eq!(
            faults,
            [
                "2:2 duplicate key `a`; the first is at 1:2",
                "2:17 duplicate key `b` in `a[]`; the first is at 2:9",
                "2:31 duplicate key `c` in `a[].b`; the first is at 2:23",
            ]
        );
    }

    #[test]
    fn a_message_carries_no_control_characters_and_no_novel() {
        assert_eq!(shown("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(shown(&"é".repeat(100)), format!("{}…", "é".repeat(60)));
    }
}
