//! The located value tree that every configuration is read from.

use crate::diagnostics::Location;
use std::{collections::HashMap, fmt};

/// A value, and where it was written when it came from a text.
#[derive(Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its position; `None` when the program made it.
    pub location: Option<Location>,
}

/// The data model that YAML, JSON and programs share.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number that fits 64 bits with sign.
    Int(i64),
    /// A whole number above [`i64::MAX`].
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// Text; a `${…}` in it is a reference, see [`Template`](crate::value::Template).
    String(String),
    /// A sequence.
    List(Vec<Node>),
    /// Named values.
    Map(Map),
}

/// Named values in the order they were written. Keys are unique.
#[derive(Clone, Default, PartialEq)]
pub struct Map {
    entries: Vec<Entry>,
}

/// One named value of a [`Map`].
#[derive(Clone, PartialEq)]
pub struct Entry {
    /// The name.
    pub key: String,
    /// Where the name was written.
    pub key_location: Option<Location>,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A value without a position.
    pub fn new(value: Value) -> Self {
        Node { value, location: None }
    }

    /// An empty mapping without a position.
    pub fn empty_map() -> Self {
        Node::new(Value::Map(Map::default()))
    }

    /// The mapping, if the node is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The text, if the node is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Lays `over` on top of this node: mappings merge key by key, anything else is replaced. Every value keeps
    /// the position it was written at.
    pub fn merge(&mut self, over: Node) {
        match (&mut self.value, over) {
            (Value::Map(under), Node { value: Value::Map(over), .. }) => under.merge(over),
            (_, over) => *self = over,
        }
    }

    /// Changes where it, and all that is in it, is said to be written.
    pub(crate) fn relocate(&mut self, change: &mut impl FnMut(&mut Option<Location>)) {
        change(&mut self.location);
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.relocate(change)),
            Value::Map(map) => {
                for entry in &mut map.entries {
                    change(&mut entry.key_location);
                    entry.value.relocate(change);
                }
            }
            _ => {}
        }
    }

    /// Whether both are the same data, wherever and in whichever order their keys were written.
    pub(crate) fn same_data(&self, other: &Node) -> bool {
        match (&self.value, &other.value) {
            (Value::Float(a), Value::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_data(b)),
            (Value::Map(a), Value::Map(b)) => {
                let same = |entry: &Entry| b.get(&entry.key).is_some_and(|other| entry.value.same_data(other));
                a.len() == b.len() && a.iter().all(same)
            }
            (a, b) => a == b,
        }
    }

    /// Whether a `${…}` stands anywhere in it.
    pub(crate) fn has_references(&self) -> bool {
        match &self.value {
            Value::String(text) => text.contains("${"),
            Value::List(items) => items.iter().any(Node::has_references),
            Value::Map(map) => map.iter().any(|entry| entry.value.has_references()),
            _ => false,
        }
    }

    /// The same data as JSON. Not for output: it shows what is under a secret.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Int(i) => (*i).into(),
            Value::Uint(u) => (*u).into(),
            Value::Float(f) => serde_json::Number::from_f64(*f).map_or(serde_json::Value::Null, Into::into),
            Value::String(s) => s.as_str().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(map) => {
                map.iter().map(|e| (e.key.clone(), e.value.to_json())).collect::<serde_json::Map<_, _>>().into()
            }
        }
    }
}

impl Value {
    /// What the value is, as a noun with its article, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Uint(_) => "an integer",
            Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Reads a plain scalar by the YAML 1.2 core schema (<https://yaml.org/spec/1.2.2/#103-core-schema>):
    /// `null`, `true`, `12`, `0x1F`, `0o17`, `1.5`, `.inf`; everything else is a string.
    pub fn from_scalar(text: &str) -> Value {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
            "true" | "True" | "TRUE" => return Value::Bool(true),
            "false" | "False" | "FALSE" => return Value::Bool(false),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
            ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
            _ => {}
        }
        let integer = |digits: &str, radix| {
            i64::from_str_radix(digits, radix)
                .map(Value::Int)
                .or_else(|_| u64::from_str_radix(digits, radix).map(Value::Uint))
                .ok()
        };
        if let Some(hex) = text.strip_prefix("0x").filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())) {
            return integer(hex, 16).unwrap_or_else(|| Value::String(text.to_owned()));
        }
        if let Some(octal) = text.strip_prefix("0o").filter(|d| d.bytes().all(|b| b.is_ascii_digit())) {
            return integer(octal, 8).unwrap_or_else(|| Value::String(text.to_owned()));
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
            // Too large for 64 bits: keep it as the nearest float, as JSON readers do.
            return integer(text, 10).unwrap_or_else(|| Value::Float(text.parse().unwrap_or(f64::INFINITY)));
        }
        let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && unsigned.contains(|c: char| c.is_ascii_digit())
            && unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
        match text.parse() {
            Ok(float) if numeric => Value::Float(float),
            _ => Value::String(text.to_owned()),
        }
    }
}

impl Map {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in the order they were written.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// The values, to be changed, in the order they were written.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.entries.iter_mut().map(|entry| &mut entry.value)
    }

    /// The entries in the order they were written.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of `key`.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
    }

    /// Sets `key` to `value`, replacing what was there.
    pub fn insert(&mut self, key: impl Into<String>, value: Node) {
        let key = key.into();
        match self.get_mut(&key) {
            Some(node) => *node = value,
            None => self.entries.push(Entry { key, key_location: None, value }),
        }
    }

    /// Lays `over` on top of this mapping.
    pub(crate) fn merge(&mut self, over: Map) {
        if self.is_empty() {
            self.entries = over.entries;
            return;
        }
        let positions: HashMap<String, usize> =
            self.entries.iter().enumerate().map(|(position, entry)| (entry.key.clone(), position)).collect();
        for entry in over.entries {
            match positions.get(&entry.key) {
                Some(position) => self.entries[*position].value.merge(entry.value),
                None => self.entries.push(entry),
            }
        }
    }

    /// Appends an entry whose key is known to be new.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }
}

impl<'m> IntoIterator for &'m Map {
    type Item = &'m Entry;
    type IntoIter = std::slice::Iter<'m, Entry>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<serde_json::Value> for Node {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        Node::new(match json {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(b),
            Json::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(i), _) => Value::Int(i),
                (None, Some(u)) => Value::Uint(u),
                (None, None) => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(s) => Value::String(s),
            Json::Array(items) => Value::List(items.into_iter().map(Node::from).collect()),
            Json::Object(map) => Value::Map(Map {
                entries: map
                    .into_iter()
                    .map(|(key, value)| Entry { key, key_location: None, value: value.into() })
                    .collect(),
            }),
        })
    }
}

// A tree may hold secrets anywhere: only its shape is shown.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "{:?} at {location}", self.value),
            None => write!(f, "{:?}", self.value),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::List(items) => f.debug_list().entries(items).finish(),
            Value::Map(map) => map.fmt(f),
            scalar => f.write_str(scalar.kind()),
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|e| (&e.key, &e.value))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_follow_the_core_schema() {
        let float = |text: &str| matches!(Value::from_scalar(text), Value::Float(_));
        assert!(Value::from_scalar("12") == Value::Int(12));
        assert!(Value::from_scalar("-7") == Value::Int(-7));
        assert!(Value::from_scalar("0x1F") == Value::Int(31));
        assert!(Value::from_scalar("0o17") == Value::Int(15));
        assert!(Value::from_scalar("18446744073709551615") == Value::Uint(u64::MAX));
        assert!(float("1.5") && float("-1e3") && float(".5") && float(".inf") && float("99999999999999999999"));
        for text in ["yes", "1.2.3", "1e", "0xZZ", "e5", ".", "-", "12a", "inf", "nan"] {
            assert!(Value::from_scalar(text) == Value::String(text.into()), "{text}");
        }
    }

    #[test]
    fn merging_replaces_leaves_and_keeps_the_rest() {
        let mut base = Node::from(serde_json::json!({"a": {"x": 1, "y": 2}, "b": [1, 2]}));
        base.merge(serde_json::json!({"a": {"y": 3}, "b": [9], "c": true}).into());
        assert_eq!(base.to_json(), serde_json::json!({"a": {"x": 1, "y": 3}, "b": [9], "c": true}));
    }

    #[test]
    fn the_same_data_in_another_order_is_the_same() {
        let node = |json: serde_json::Value| Node::from(json);
        let a = node(serde_json::json!({"a": [1, {"x": 1.5}], "b": null}));
        let mut b = Map::default();
        for key in ["b", "a"] {
            b.insert(key, a.as_map().unwrap().get(key).unwrap().clone());
        }
        let b = Node::new(Value::Map(b));
        assert!(a.same_data(&b) && b.same_data(&a));
        for other in [
            serde_json::json!({"a": [1, {"x": 1.5}]}),
            serde_json::json!({"a": [1, {"x": 1.5}], "c": null}),
            serde_json::json!({"a": [1, {"x": 2.5}], "b": null}),
            serde_json::json!({"a": [1], "b": null}),
        ] {
            assert!(!a.same_data(&node(other.clone())) && !node(other).same_data(&a));
        }
        assert!(node(serde_json::json!([{"k": "a ${env:B}"}])).has_references() && !a.has_references());
    }

    #[test]
    fn debug_shows_no_value() {
        let node = Node::from(serde_json::json!({"password": "hunter2", "list": [4711]}));
        let text = format!("{node:?}");
        assert!(!text.contains("hunter2") && !text.contains("4711"), "{text}");
    }
}
