//! YAML 1.2 into the value tree.

use super::{Entry, Map, Node, Value};
use crate::diagnostics::{Code, Diagnostic, Location, Source};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::{collections::HashMap, sync::Arc};

/// Lists and mappings may nest this deep.
pub const MAX_DEPTH: usize = 128;

/// A document may have this many values, aliases expanded.
pub const MAX_NODES: usize = 1_000_000;

/// Reads one YAML document.
///
/// Merge keys (`<<`), tags and non-scalar keys are refused: they are YAML's least portable parts. Anchors and
/// aliases work. An empty document is null.
///
/// # Errors
/// All duplicate keys, or the first mistake after which the text cannot be followed.
pub fn parse(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    let mut builder = Builder { source, nodes: 0, aliased: 0, anchors: HashMap::new(), diagnostics: Vec::new() };
    match builder.document() {
        Ok(node) if builder.diagnostics.is_empty() => Ok(node),
        Ok(_) => Err(builder.diagnostics),
        Err(fatal) => {
            builder.diagnostics.push(*fatal);
            Err(builder.diagnostics)
        }
    }
}

/// All aliases of a document together may stand for this many values: far more than a hand writes, and made in no time.
pub const MAX_ALIASED: usize = 100_000;

struct Builder<'s> {
    source: &'s Arc<Source>,
    nodes: usize,
    /// How many of them are copies.
    aliased: usize,
    /// Finished nodes that have an anchor, and how many values each holds.
    anchors: HashMap<usize, (Node, usize)>,
    diagnostics: Vec<Diagnostic>,
}

/// A list or mapping whose end has not been read yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The value count when it began.
    before: usize,
    /// The key that waits for its value, and the keys seen so far.
    key: Option<(String, Location)>,
    seen: HashMap<String, Location>,
}

pub(super) type Fatal = Box<Diagnostic>;

impl Builder<'_> {
    fn location(&self, span: Span) -> Location {
        let start = span.start;
        let length = if span.end.line() == start.line() { span.end.col().saturating_sub(start.col()) } else { 0 };
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Location {
            source: self.source.clone(),
            line: number(start.line().max(1)),
            column: number(start.col() + 1),
            length: number(length.max(1)),
        }
    }

    /// The span of a quoted scalar without what follows it: the parser counts comments in.
    fn quoted(&self, style: ScalarStyle, location: Location) -> Location {
        let quote = match style {
            ScalarStyle::SingleQuoted => '\'',
            ScalarStyle::DoubleQuoted => '"',
            _ => return location,
        };
        let text = self.source.line(location.line).unwrap_or_default();
        let mut characters = text.chars().skip(location.column as usize).peekable();
        let mut length = 1;
        while let Some(c) = characters.next() {
            length += 1;
            let escaped = match c {
                '\\' => quote == '"',
                '\'' => quote == '\'' && characters.peek() == Some(&'\''),
                _ => false,
            };
            if escaped {
                length += u32::from(characters.next().is_some());
            } else if c == quote {
                break;
            }
        }
        Location { length, ..location }
    }

    fn count(&mut self, nodes: usize, at: &Location) -> Result<(), Fatal> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(too_many(at));
        }
        Ok(())
    }

    fn document(&mut self) -> Result<Node, Fatal> {
        let source = self.source;
        let mut stack: Vec<Open> = Vec::new();
        let mut root: Option<Node> = None;
        let mut documents = 0;
        for event in Parser::new_from_str(source.text()) {
            let (event, span) = event.map_err(|error| {
                let at = self.location(Span::empty(*error.marker()));
                Box::new(malformed(source, source.within(at), error.info()))
            })?;
            let location = self.location(span);
            let tagged = matches!(
                &event,
                Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_))
            );
            if tagged {
                // Not the rest, which may be a secret that begins with `!`.
                let location = Location { length: 1, ..location.clone() };
                self.diagnostics.push(
                    Diagnostic::error(Code::UnsupportedSyntax, "a tag has no meaning in a configuration")
                        .at(&location)
                        .help("remove the `!…` in front of the value, or put a text that begins with `!` in quotes"),
                );
            }
            let finished = match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let diagnostic = Diagnostic::error(
                            Code::UnsupportedSyntax,
                            "a file holds one document, this is a second one",
                        )
                        .at(&location)
                        .help("remove the `---` and what follows it");
                        return Err(Box::new(diagnostic));
                    }
                    continue;
                }
                Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                    self.count(1, &location)?;
                    if stack.len() >= MAX_DEPTH {
                        let message = format!("lists and mappings nest deeper than {MAX_DEPTH} levels");
                        return Err(nests_too_deep(message, &location));
                    }
                    let value = match event {
                        Event::SequenceStart(..) => Value::List(Vec::new()),
                        _ => Value::Map(Map::default()),
                    };
                    let location = Location { length: 1, ..location };
                    if matches!(stack.last(), Some(Open { node: Node { value: Value::Map(_), .. }, key: None, .. })) {
                        return Err(Box::new(not_a_key(&location)));
                    }
                    let node = Node { value, location: Some(location) };
                    stack.push(Open { node, anchor, before: self.nodes, key: None, seen: HashMap::new() });
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(open) = stack.pop() else { continue };
                    if open.anchor > 0 {
                        self.anchors.insert(open.anchor, (open.node.clone(), self.nodes - open.before + 1));
                    }
                    open.node
                }
                Event::Scalar(text, style, anchor, _) => {
                    self.count(1, &location)?;
                    let location = match (text.is_empty() && style == ScalarStyle::Plain, stack.last()) {
                        // Where nothing is written, its key stands for it.
                        (true, Some(Open { key: Some((_, key)), .. })) => key.clone(),
                        (true, _) => source.within(location),
                        (false, _) => self.quoted(style, location),
                    };
                    let in_key_position =
                        matches!(stack.last(), Some(Open { node: Node { value: Value::Map(_), .. }, key: None, .. }));
                    // A key is text, whatever it looks like.
                    let value = if style == ScalarStyle::Plain && !in_key_position {
                        Value::from_scalar(&text)
                    } else {
                        Value::String(text.into_owned())
                    };
                    let node = Node { value, location: Some(location) };
                    if anchor > 0 {
                        self.anchors.insert(anchor, (node.clone(), 1));
                    }
                    node
                }
                Event::Alias(anchor) => {
                    let Some((node, size)) = self.anchors.get(&anchor) else {
                        let diagnostic = Diagnostic::error(
                            Code::UnsupportedSyntax,
                            "the alias stands inside the value that it names, which would never end",
                        );
                        return Err(Box::new(diagnostic.at(&location).help("write the value out")));
                    };
                    let (size, within) = (*size, depth(node));
                    // Checked before the copy is made.
                    self.aliased += size;
                    if self.aliased > MAX_ALIASED {
                        let message = format!("the aliases of the document stand for more than {MAX_ALIASED} values");
                        let help = "an alias of a list of aliases multiplies: write out what is needed";
                        return Err(Box::new(Diagnostic::error(Code::TooLarge, message).at(&location).help(help)));
                    }
                    self.count(size, &location)?;
                    if stack.len() + within > MAX_DEPTH {
                        let message =
                            format!("with its aliases expanded the document nests deeper than {MAX_DEPTH} levels");
                        return Err(nests_too_deep(message, &location));
                    }
                    match self.anchors.get(&anchor) {
                        Some((node, _)) => node.clone(),
                        None => continue,
                    }
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Nothing => continue,
            };
            match stack.last_mut() {
                None => root = Some(finished),
                Some(open) => self.place(open, finished)?,
            }
        }
        let beginning = || Location { source: source.clone(), line: 1, column: 1, length: 1 };
        Ok(root.unwrap_or_else(|| Node { value: Value::Null, location: Some(beginning()) }))
    }

    /// Puts a finished node into the list or mapping that is open.
    fn place(&mut self, open: &mut Open, node: Node) -> Result<(), Fatal> {
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Map(map) => match open.key.take() {
                None => match (node.value, node.location) {
                    (Value::String(key), Some(location)) => {
                        if key == "<<" {
                            let diagnostic = Diagnostic::error(
                                Code::UnsupportedSyntax,
                                "merge keys (`<<`) are not part of YAML 1.2",
                            )
                            .at(&location)
                            .help("write the keys out, or use an alias for the whole mapping");
                            self.diagnostics.push(diagnostic);
                        }
                        // A block mapping has no bracket to point at: its first key stands for it.
                        if let Some(start) = open.node.location.as_mut().filter(|start| **start == location) {
                            start.length = location.length;
                        }
                        open.key = Some((key, location));
                    }
                    (_, location) => {
                        return Err(Box::new(Diagnostic { location, ..not_a_key_without_place() }));
                    }
                },
                Some((key, location)) => match open.seen.get(&key) {
                    Some(first) => self.diagnostics.push(appears_twice(&key, &location, first)),
                    None => {
                        open.seen.insert(key.clone(), location.clone());
                        map.push(Entry { key, key_location: Some(location), value: node });
                    }
                },
            },
            _ => {}
        }
        Ok(())
    }
}

fn not_a_key_without_place() -> Diagnostic {
    Diagnostic::error(Code::UnsupportedSyntax, "a key must be a plain or quoted text")
        .help("put a text that begins with a brace or bracket in quotes: `\"{{ name }}\"`")
}

/// A key that a mapping has already.
pub(super) fn appears_twice(key: &str, at: &Location, first: &Location) -> Diagnostic {
    Diagnostic::error(Code::DuplicateKey, format!("the key `{key}` appears twice"))
        .at(at)
        .related("it was first given here", first)
        .help("remove one of the two")
}

/// More than [`MAX_NODES`].
pub(super) fn too_many(at: &Location) -> Fatal {
    let message = format!("the document has more than {MAX_NODES} values");
    let help = "no platform needs as many: keep data in a file of its own, and give its path";
    Box::new(Diagnostic::error(Code::TooLarge, message).at(at).help(help))
}

pub(super) fn nests_too_deep(message: String, at: &Location) -> Fatal {
    Box::new(Diagnostic::error(Code::TooLarge, message).at(at).help("give the values in fewer levels"))
}

/// What the parser says, in words of who wrote the file. The parser names the rule of the grammar that failed; what to
/// do follows from it and from the text around.
fn malformed(source: &Source, mut at: Location, info: &str) -> Diagnostic {
    if info == "recursion limit exceeded" {
        return *nests_too_deep(format!("lists and mappings nest deeper than {MAX_DEPTH} levels"), &at);
    }
    let line = source.line(at.line).unwrap_or_default();
    // The parser names what stands behind the tab, and the quote before the escape.
    if info.contains("tab") {
        at.column = column_of(line, |text| text.find('\t')).unwrap_or(at.column);
    } else if info.starts_with("while parsing a quoted scalar") {
        at.column = column_of(line, unknown_escape).unwrap_or(at.column);
    }
    let rest = || line.chars().skip(at.column as usize - 1);
    let item = rest().take(2).eq("- ".chars());
    let quote = match rest().next() {
        Some('\'') => '\'',
        _ => '"',
    };
    let (message, help) = match info {
        "mapping values are not allowed in this context" => (
            "a second `:` where the value of a key is expected".to_owned(),
            "put a text with `: ` in it in quotes; otherwise indent the line like those beside it".to_owned(),
        ),
        "simple key expect ':'" | "simple key expected" => (
            "a line that is neither `key: value` nor `- value`".to_owned(),
            "write a `:` and a space after the key, or indent the line as a part of the text above".to_owned(),
        ),
        "invalid indentation in quoted scalar"
        | "while scanning a quoted scalar, found unexpected document indicator" => {
            (format!("the text that begins here is not closed with `{quote}` on lines that belong to it"), close(quote))
        }
        "while scanning a quoted scalar, found unexpected end of stream" => {
            (format!("the text that begins here is not closed with `{quote}`"), close(quote))
        }
        "invalid trailing content after double-quoted scalar" => {
            ("more text after the closing quote".to_owned(), after_quote(line, &at))
        }
        "while parsing a quoted scalar, found unknown escape character"
        | "while parsing a quoted scalar, did not find expected hexadecimal number"
        | "while parsing a quoted scalar, found invalid Unicode character escape code" => (
            "a `\\` in this text begins no known escape".to_owned(),
            "write `\\\\` for a backslash, or put the text in single quotes".to_owned(),
        ),
        "while parsing a flow sequence, expected ',' or ']'" => (
            "a list between brackets goes on without a `,`, or is not closed".to_owned(),
            "write `,` between the items and `]` after the last".to_owned(),
        ),
        "while parsing a flow mapping, did not find expected ',' or '}'" | "misplaced bracket" => (
            "a mapping between braces goes on without a `,`, or is not closed".to_owned(),
            "write `,` between the keys and `}` after the last".to_owned(),
        ),
        "while parsing a block mapping, did not find expected key" => (
            "this line does not belong to the mapping above it".to_owned(),
            "a mapping has a `key: value` on each line, all indented alike, and a list a `- ` on each".to_owned(),
        ),
        "while parsing a block collection, did not find expected '-' indicator" => (
            "this line does not belong to the list above it".to_owned(),
            match item {
                true => "indent its `-` like those of the list above",
                false => "begin it with `- `, or indent it like the first key after the `-`",
            }
            .to_owned(),
        ),
        "while parsing a node, did not find expected node content" => (
            "a value is expected here".to_owned(),
            "give a value, or put a text that begins with a special character in quotes".to_owned(),
        ),
        "block sequence entries are not allowed in this context" => (
            "a list cannot begin here".to_owned(),
            "begin the list on a line of its own, or write it between brackets: `[a, b]`".to_owned(),
        ),
        "while parsing node, found unknown anchor" => (
            "this alias names no anchor above it".to_owned(),
            "put `&name` before the value that it stands for, or the text in quotes if `*` is a part of it".to_owned(),
        ),
        "':' must be followed by a valid YAML whitespace" | "'-' must be followed by a valid YAML whitespace" => {
            (info.replace('\'', "`").replace("a valid YAML whitespace", "a space"), "put a space after it".to_owned())
        }
        "found unprintable character" => {
            ("a control character".to_owned(), "remove it, or write it as an escape: `\"\\u0007\"`".to_owned())
        }
        "a byte order mark must not appear inside a document" => {
            ("a byte order mark inside the text".to_owned(), "remove it; it is invisible in most editors".to_owned())
        }
        _ if info.contains("tab") => {
            ("a tab where the line is indented".to_owned(), "indent with spaces; YAML takes no tabs there".to_owned())
        }
        _ if info.starts_with("unexpected character: ") || info.starts_with("plain scalar cannot start with") => {
            let first: String = rest().take(1).collect();
            (format!("a text cannot begin with `{first}`"), "put it in quotes".to_owned())
        }
        _ if info.contains("directive") => (
            "a line that begins with `%` is a directive, which is not accepted here".to_owned(),
            "remove it".to_owned(),
        ),
        _ if info.contains("indentation") => {
            (format!("malformed YAML: {info}"), "indent the line like those beside it".to_owned())
        }
        _ => (format!("malformed YAML: {info}"), "the mistake may stand on the line above".to_owned()),
    };
    if let Some(mark) =
        (1..=at.line).find(|number| source.line(*number).is_some_and(|text| text.starts_with("<<<<<<<")))
    {
        return Diagnostic::error(Code::Syntax, "a merge of two versions of the file was not finished")
            .at(&Location { line: mark, column: 1, length: 7, ..at })
            .help("keep what is right, and remove the lines that begin with `<<<<<<<`, `=======` and `>>>>>>>`");
    }
    if matches!(
        info,
        "mapping values are not allowed in this context" | "simple key expect ':'" | "simple key expected"
    ) && let Some(diagnostic) = culprit_above(source, &at)
    {
        return diagnostic;
    }
    let diagnostic = Diagnostic::error(Code::Syntax, message).at(&whole_word(line, at));
    if line.contains("${") {
        return diagnostic.help("between braces or brackets a reference is put in quotes: `{key: \"${env:NAME}\"}`");
    }
    diagnostic.help(help)
}

/// The parser gives up on the line after the one where a colon or a space is missing.
fn culprit_above(source: &Source, at: &Location) -> Option<Diagnostic> {
    let told = |text: &str| !text.trim().is_empty() && !text.trim_start().starts_with('#');
    let number = (1..at.line).rev().find(|number| source.line(*number).is_some_and(told))?;
    let text = source.line(number)?;
    let indent = text.len() - text.trim_start_matches(' ').len();
    let entry = &text[indent..];
    let item = entry.strip_prefix('-');
    if let Some(rest) = item
        && rest.starts_with(|c: char| c.is_alphabetic())
    {
        return Some(
            Diagnostic::error(Code::Syntax, "no space follows the `-` of a list")
                .at(&span(at, number, indent, 1))
                .help("put a space after it"),
        );
    }
    let dashes = entry.len() - entry.trim_start_matches(['-', ' ']).len();
    let (from, entry) = (indent + dashes, &entry[dashes..]);
    let word = entry.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).unwrap_or(entry.len());
    let (key, rest) = entry.split_at(word);
    if key.is_empty() {
        return None;
    }
    // Neither is quoted: the line may be a part of a text, and that a secret.
    match rest.strip_prefix(':') {
        Some(value) if !value.is_empty() && !value.starts_with([' ', '\t', ':', '/']) => Some(
            Diagnostic::error(Code::Syntax, "no space follows the `:` of a key")
                .at(&span(at, number, from + key.chars().count(), 1))
                .help("put a space after it"),
        ),
        None if !rest.contains(':') => Some(
            Diagnostic::error(Code::Syntax, "no `:` follows the key that begins here")
                .at(&span(at, number, from, 1))
                .help("write `key: value`, or `key:` before lines that are indented more"),
        ),
        _ => None,
    }
}

/// The column of what is found in a line.
fn column_of(line: &str, find: impl Fn(&str) -> Option<usize>) -> Option<u32> {
    let before = line.get(..find(line)?)?;
    u32::try_from(before.chars().count() + 1).ok()
}

/// Where a `\` is followed by none of the characters that make an escape.
fn unknown_escape(line: &str) -> Option<usize> {
    let mut characters = line.char_indices();
    while let Some((at, c)) = characters.next() {
        if c == '\\' && !characters.next().is_some_and(|(_, c)| "0abtnvfre \"/\\N_LPxuU\t".contains(c)) {
            return Some(at);
        }
    }
    None
}

/// Characters of a line, counted from 0, which has ASCII characters alone before them.
fn span(at: &Location, line: u32, from: usize, length: usize) -> Location {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Location { source: at.source.clone(), line, column: number(from + 1), length: number(length) }
}

/// The position with the whole key that begins there.
fn whole_word(line: &str, at: Location) -> Location {
    let word = line.chars().skip(at.column as usize - 1);
    let length = word.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')).count();
    let after = line.chars().nth(at.column as usize - 1 + length);
    match after {
        Some(':') if length > 1 => Location { length: u32::try_from(length).unwrap_or(1), ..at },
        _ => at,
    }
}

fn close(quote: char) -> String {
    format!("close it with `{quote}`")
}

/// What to do about a text that goes on after its quote.
fn after_quote(line: &str, at: &Location) -> String {
    let before = line.chars().take(at.column as usize - 1).filter(|c| *c == '\'').count();
    match before > 0 {
        true => "write an apostrophe twice between single quotes: `'it''s'`".to_owned(),
        false => "write `\\\"` for a quote between double quotes, or remove what follows".to_owned(),
    }
}

fn not_a_key(location: &Location) -> Diagnostic {
    not_a_key_without_place().at(location)
}

/// How many levels a node has below and with itself. Finished nodes are never deeper than [`MAX_DEPTH`].
fn depth(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(map) => 1 + map.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Vec<Diagnostic>> {
        parse(&Source::new("t.yaml", text))
    }

    fn place(diagnostic: &Diagnostic) -> (Code, u32, u32) {
        let location = diagnostic.location.as_ref().expect("a location");
        (diagnostic.code, location.line, location.column)
    }

    #[test]
    fn values_know_their_line_and_column() {
        let node = read("a: 1\nb:\n  - x\n  - {c: true}\n").unwrap();
        let map = node.as_map().unwrap();
        let b = map.entry("b").unwrap();
        assert_eq!(b.key_location.as_ref().unwrap().to_string(), "t.yaml:2:1");
        let Value::List(items) = &b.value.value else { panic!("a list") };
        assert_eq!(items[0].location.as_ref().unwrap().to_string(), "t.yaml:3:5");
        let c = items[1].as_map().unwrap().get("c").unwrap();
        assert_eq!(c.location.as_ref().unwrap().to_string(), "t.yaml:4:9");
        assert_eq!(node.to_json(), serde_json::json!({"a": 1, "b": ["x", {"c": true}]}));
    }

    #[test]
    fn quoted_scalars_are_text() {
        assert_eq!(read("[\"1\", 'true', 1]").unwrap().to_json(), serde_json::json!(["1", "true", 1]));
    }

    #[test]
    fn the_span_of_a_quoted_text_ends_with_its_quote() {
        let node = read("a: \"b \\\" c\" # d\ne: 'it''s' # f\n").unwrap();
        let length = |key: &str| node.as_map().unwrap().get(key).unwrap().location.as_ref().unwrap().length;
        assert_eq!((length("a"), length("e")), (8, 7));
    }

    #[test]
    fn a_reference_without_quotes_between_braces_is_explained() {
        let found = read("a: {b: ${env:C}}").unwrap_err();
        assert!(found[0].help[0].contains("quotes"), "{found:?}");
    }

    #[test]
    fn an_alias_copies_its_anchor() {
        let node = read("a: &x {k: 1}\nb: *x\n").unwrap();
        assert_eq!(node.to_json(), serde_json::json!({"a": {"k": 1}, "b": {"k": 1}}));
    }

    #[test]
    fn every_duplicate_key_is_reported() {
        let found = read("a: 1\na: 2\nb: 1\nb: 2\n").unwrap_err();
        assert_eq!(
            found.iter().map(place).collect::<Vec<_>>(),
            [(Code::DuplicateKey, 2, 1), (Code::DuplicateKey, 4, 1)]
        );
    }

    #[test]
    fn malformed_text_is_located() {
        let found = read("a: [1, 2\nb: 3\n").unwrap_err();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, Code::Syntax);
        assert!(found[0].location.is_some());
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..10 {
            let alias = format!("*a{}", i - 1);
            text.push_str(&format!("a{i}: &a{i} [{}]\n", vec![alias; 10].join(", ")));
        }
        let found = read(&text).unwrap_err();
        assert_eq!(found.last().map(|d| d.code), Some(Code::TooLarge));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let found = read(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))).unwrap_err();
        assert!(matches!(found[0].code, Code::TooLarge | Code::Syntax), "{found:?}");
        assert!(found[0].location.is_some());
    }

    #[test]
    fn what_has_no_place_in_a_configuration_is_refused() {
        for text in ["a: !foo 1", "? [1]\n: 2", "<<: {a: 1}", "a: 1\n---\nb: 2"] {
            let found = read(text).unwrap_err();
            assert_eq!(found[0].code, Code::UnsupportedSyntax, "{text}");
        }
    }

    #[test]
    fn an_alias_to_the_value_it_stands_in_is_refused() {
        assert_eq!(read("a: &x [*x]").unwrap_err()[0].code, Code::UnsupportedSyntax);
    }
}
