//! TOML 1.1 into the value tree.

use super::{
    Entry, Map, Node, Value,
    yaml::{MAX_DEPTH, MAX_NODES},
};
use crate::diagnostics::{Code, Diagnostic, Location, Source};
use std::{ops::Range, sync::Arc};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Reads a TOML document. A date or time is text.
///
/// # Errors
/// Every mistake that the parser can get past, among them every key that a table has twice.
pub fn parse(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    let places = Places::of(source);
    // The parser bounds arrays and inline tables itself.
    if let Some(deep) = deepest_key(source.text()) {
        let message = format!("tables nest deeper than {MAX_DEPTH} levels");
        return Err(vec![Diagnostic::error(Code::TooLarge, message).at(&places.location(deep))]);
    }
    let (table, errors) = DeTable::parse_recoverable(source.text());
    if !errors.is_empty() {
        let mut found: Vec<Diagnostic> = errors.iter().map(|error| places.mistake(error)).collect();
        crate::diagnostics::sort(&mut found);
        // What follows on the same line follows from it.
        let line = |diagnostic: &Diagnostic| diagnostic.location.as_ref().map(|at| at.line);
        found
            .dedup_by(|next, first| first.code == Code::Syntax && next.code == first.code && line(next) == line(first));
        return Err(found);
    }
    let mut builder = Builder { places, nodes: 0 };
    let span = table.span();
    builder.table(table.into_inner(), span, 0).map_err(|fatal| vec![*fatal])
}

/// Where the key of a line has more parts than tables may nest.
fn deepest_key(text: &str) -> Option<Range<usize>> {
    let mut begin = 0;
    for line in text.split_inclusive('\n') {
        // Dots in values are counted in: no line that means something has as many.
        let key = line.split('=').next().unwrap_or(line);
        if key.bytes().filter(|byte| *byte == b'.').count() >= MAX_DEPTH {
            return Some(begin..begin + 1);
        }
        begin += line.len();
    }
    None
}

type Fatal = Box<Diagnostic>;

struct Builder<'s> {
    places: Places<'s>,
    nodes: usize,
}

impl Builder<'_> {
    fn node(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Fatal> {
        let span = value.span();
        let location = self.places.location(span.clone());
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            let message = match self.nodes > MAX_NODES {
                true => format!("the document has more than {MAX_NODES} values"),
                false => format!("arrays and tables nest deeper than {MAX_DEPTH} levels"),
            };
            return Err(Box::new(Diagnostic::error(Code::TooLarge, message).at(&location)));
        }
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Boolean(truth) => Value::Bool(truth),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Float(number) => number.as_str().parse().map_or(Value::Float(f64::NAN), Value::Float),
            DeValue::Integer(number) => {
                let (text, radix) = (number.as_str(), number.radix());
                let small = i64::from_str_radix(text, radix).map(Value::Int);
                let large = || u64::from_str_radix(text, radix).map(Value::Uint);
                // Too large for 64 bits: the nearest float, as in YAML.
                small.or_else(|_| large()).unwrap_or_else(|_| Value::Float(text.parse().unwrap_or(f64::INFINITY)))
            }
            DeValue::Array(items) => {
                let items = items.into_iter().map(|item| self.node(item, depth + 1)).collect::<Result<_, _>>()?;
                return Ok(Node { value: Value::List(items), location: Some(Location { length: 1, ..location }) });
            }
            DeValue::Table(table) => return self.table(table, span, depth),
        };
        Ok(Node { value, location: Some(location) })
    }

    fn table(&mut self, table: DeTable<'_>, span: Range<usize>, depth: usize) -> Result<Node, Fatal> {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut map = Map::default();
        let mut first = None;
        for (key, value) in entries {
            let location = self.places.location(key.span());
            first.get_or_insert_with(|| location.clone());
            let value = self.node(value, depth + 1)?;
            map.push(Entry { key: key.into_inner().into_owned(), key_location: Some(location), value });
        }
        let own = self.places.location(span.clone());
        // An inline table is its brace. The document, and a table that only dotted keys make, have nothing of their
        // own to point at: their first key stands for them.
        let location = match self.places.source.text().as_bytes().get(span.start) {
            Some(b'{') => Location { length: 1, ..own },
            Some(b'[') => own,
            _ => first.unwrap_or(own),
        };
        Ok(Node { value: Value::Map(map), location: Some(location) })
    }
}

/// From byte offsets to lines and columns.
struct Places<'s> {
    source: &'s Arc<Source>,
    /// How many characters come before every [`STRIDE`]th byte; empty when every character is one byte.
    characters: Vec<usize>,
}

/// Keeps the search for a column short on long lines.
const STRIDE: usize = 1024;

fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xC0) != 0x80).count()
}

impl<'s> Places<'s> {
    fn of(source: &'s Arc<Source>) -> Self {
        let mut characters = Vec::new();
        if !source.text().is_ascii() {
            let mut before = 0;
            for chunk in source.text().as_bytes().chunks(STRIDE) {
                characters.push(before);
                before += count(chunk);
            }
        }
        Places { source, characters }
    }

    /// How many characters come before a byte.
    fn characters(&self, offset: usize) -> usize {
        match self.characters.get(offset / STRIDE) {
            Some(before) => before + count(&self.source.text().as_bytes()[offset / STRIDE * STRIDE..offset]),
            None if self.characters.is_empty() => offset,
            None => count(self.source.text().as_bytes()),
        }
    }

    fn location(&self, span: Range<usize>) -> Location {
        let end_of_text = self.source.text().len();
        let (start, end) = (span.start.min(end_of_text), span.end.min(end_of_text));
        let lines = self.source.starts();
        let line = lines.partition_point(|begin| *begin <= start).max(1);
        let begin = lines.get(line - 1).copied().unwrap_or(0);
        let one_line = lines.get(line).is_none_or(|next| end < *next);
        let length = if one_line { self.characters(end.max(start)) - self.characters(start) } else { 1 };
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Location {
            source: self.source.clone(),
            line: number(line),
            column: number(self.characters(start) - self.characters(begin) + 1),
            length: number(length.max(1)),
        }
    }

    fn mistake(&self, error: &toml::de::Error) -> Diagnostic {
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        let code = match message.as_str() {
            "duplicate key" => Code::DuplicateKey,
            text if text.contains("recurs") => Code::TooLarge,
            _ => Code::Syntax,
        };
        // Of a limit the parser does not say where it was met.
        let location = Some(self.source.within(self.location(error.span().unwrap_or(0..1))));
        match code {
            Code::DuplicateKey => {
                let line = location.as_ref().and_then(|at| self.source.line(at.line)).unwrap_or_default();
                let skipped = location.as_ref().map_or(0, |at| at.column as usize - 1);
                let length = location.as_ref().map_or(0, |at| at.length as usize);
                let key: String = line.chars().skip(skipped).take(length).collect();
                Diagnostic::error(code, format!("the key `{key}` appears twice")).help("remove one of the two")
            }
            Code::TooLarge => Diagnostic::error(code, message).help("give the values in fewer levels"),
            _ => {
                // The rest may be a secret without its quotes.
                let location = location.map(|at| Location { length: 1, ..at });
                let (message, help) = in_words(&message);
                return Diagnostic::error(code, message).at(location.as_ref()).help(help);
            }
        }
        .at(location.as_ref())
    }
}

/// What the parser says, in words of who wrote the file, and what to do.
fn in_words(message: &str) -> (String, &'static str) {
    let said = message.to_owned();
    match message {
        _ if message.starts_with("invalid boolean") || message.contains("string values must be quoted") => {
            ("a text without quotes".to_owned(), "put a text in quotes: `name = \"text\"`")
        }
        _ if message.starts_with("key with no value") => {
            ("no `=` follows a key".to_owned(), "write `key = value`, and a text in quotes")
        }
        _ if message.starts_with("invalid unquoted key") => {
            (said, "write `key = value`, and a key with other characters in quotes")
        }
        _ if message.contains("string") => (said, "close the text with the quote that it begins with"),
        _ if message.starts_with("unclosed") => (said, "close it, and write `,` between the values"),
        _ => (said, "write `key = value` on a line for each field, and a text in quotes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Vec<Diagnostic>> {
        parse(&Source::new("t.toml", text))
    }

    fn place(diagnostic: &Diagnostic) -> (Code, u32, u32) {
        let location = diagnostic.location.as_ref().expect("a location");
        (diagnostic.code, location.line, location.column)
    }

    fn at<'n>(node: &'n Node, path: &[&str]) -> &'n Entry {
        let (last, before) = path.split_last().unwrap();
        before
            .iter()
            .fold(node, |node, key| node.as_map().unwrap().get(key).unwrap())
            .as_map()
            .unwrap()
            .entry(last)
            .unwrap()
    }

    #[test]
    fn values_know_their_line_and_column() {
        let node =
            read("name = \"é\"\nb.c = 1\n\n[[plugins]]\nconfig = {x = [1, true]} # é\n[plugins.y]\nz = 2\n").unwrap();
        assert_eq!(
            node.to_json(),
            serde_json::json!({"name": "é", "b": {"c": 1}, "plugins": [{"config": {"x": [1, true]}, "y": {"z": 2}}]})
        );
        let show = |location: &Option<Location>| {
            let location = location.as_ref().unwrap();
            format!("{location}+{}", location.length)
        };
        assert_eq!(show(&at(&node, &["name"]).value.location), "t.toml:1:8+3");
        assert_eq!(show(&at(&node, &["b", "c"]).key_location), "t.toml:2:3+1");
        assert_eq!(show(&at(&node, &["b"]).value.location), "t.toml:2:3+1");
        let Value::List(plugins) = &at(&node, &["plugins"]).value.value else { panic!("a list") };
        assert_eq!(show(&plugins[0].location), "t.toml:4:1+11");
        assert_eq!(show(&at(&plugins[0], &["config"]).value.location), "t.toml:5:10+1");
        assert_eq!(show(&at(&plugins[0], &["config", "x"]).key_location), "t.toml:5:11+1");
        assert_eq!(show(&at(&plugins[0], &["y", "z"]).value.location), "t.toml:7:5+1");
    }

    #[test]
    fn numbers_and_times() {
        let node =
            read("a = 0xFF\nb = 1_000\nc = -1.5e3\nd = 1979-05-27T07:32:00Z\ne = 18446744073709551615\nf = 07:32:00\n")
                .unwrap();
        assert_eq!(
            node.to_json(),
            serde_json::json!({"a": 255, "b": 1000, "c": -1500.0, "d": "1979-05-27T07:32:00Z", "e": u64::MAX, "f": "07:32:00"})
        );
    }

    #[test]
    fn every_duplicate_key_is_located() {
        let found = read("a = 1\na = 2\n[t]\nx = 1\nx = 2\n").unwrap_err();
        assert_eq!(
            found.iter().map(place).collect::<Vec<_>>(),
            [(Code::DuplicateKey, 2, 1), (Code::DuplicateKey, 5, 1)]
        );
        assert_eq!(found[0].message, "the key `a` appears twice");
    }

    #[test]
    fn malformed_text_is_located() {
        let found = read("a = 1\nb = [1,\nc = 2\n").unwrap_err();
        assert!(found.iter().all(|diagnostic| place(diagnostic).0 == Code::Syntax), "{found:?}");
        assert_eq!(place(&read("x =\n").unwrap_err()[0]), (Code::Syntax, 1, 4));
    }

    #[test]
    fn what_nests_too_deep_is_refused() {
        let refused = |text: String| {
            let found = read(&text).unwrap_err();
            assert_eq!(found[0].code, Code::TooLarge, "{found:?}");
            assert!(found[0].location.is_some());
        };
        refused(format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)));
        refused(format!("a = {}1{}", "{b = ".repeat(100_000), "}".repeat(100_000)));
        refused(format!("{}a = 1", "a.".repeat(100_000)));
        refused(format!("[{}a]\nx = 1", "a.".repeat(100_000)));
        refused(format!("x = {{{}a = 1}}", "a.".repeat(100_000)));
    }
}
