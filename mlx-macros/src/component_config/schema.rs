//! The `config_schema` of a component: its model, and one check a rule.

use std::time::Duration;

use super::json::{Fault, Member, Names, Node, Position, Value, shown};
use crate::{casing, listing::joined, suggest};

/// A key of a setting, and the types it is for; none means all.
const KEYS: [(&str, &[&str]); 16] = [
    ("default", &[]),
    ("description", &[]),
    ("enum", &["string"]),
    ("format", &["string"]),
    ("items", &["array"]),
    ("length", &["array", "object", "string"]),
    ("max_length", &["array", "object", "string"]),
    ("maximum", &["integer", "number"]),
    ("min_length", &["array", "object", "string"]),
    ("minimum", &["integer", "number"]),
    ("pattern", &["string"]),
    ("range", &["integer", "number"]),
    ("required", &[]),
    ("secret", &[]),
    ("type", &[]),
    ("values", &["object"]),
];

/// The keys of `items` and `values`. Limits belong to the setting: nothing reads them here.
const ELEMENT_KEYS: [&str; 5] = ["enum", "format", "items", "type", "values"];

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

const FORMATS: [&str; 2] = ["duration", "path"];

/// What of a component this macro reads.
#[derive(Default)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Component<'a> {
    pub(super) name: Option<&'a Member>,
    pub(super) description: Option<&'a str>,
    pub(super) fields: Vec<Field<'a>>,
}

/// A setting without fault.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Field<'a> {
    pub(super) key: &'a str,
    pub(super) at: Position,
    /// In snake case, and never a word that cannot be written as `r#word`.
    pub(super) name: String,
    pub(super) description: Option<&'a str>,
    pub(super) kind: Kind,
    pub(super) secret: bool,
    pub(super) presence: Presence<'a>,
    pub(super) range: Option<Range>,
    pub(super) length: Option<Bounds<i128>>,
    pub(super) pattern: Option<&'a str>,
}

#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum Presence<'a> {
    Required,
    Optional,
    Default(Literal<'a>),
}

#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum Kind {
    Text,
    Duration,
    Path,
    Enum(Vec<Variant>),
    Integer(Width),
    Number,
    Boolean,
    Array(Box<Kind>),
    Object(Box<Kind>),
    Any,
}

#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Variant {
    pub(super) value: String,
    pub(super) name: String,
}

#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum Width {
    I64,
    U16,
    U32,
    U64,
}

/// Both ends belong to it.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Bounds<T> {
    pub(super) low: Option<T>,
    pub(super) high: Option<T>,
}

#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum Range {
    Integer(Bounds<i128>),
    Number(Bounds<f64>),
}

/// A default of the type it belongs to.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum Literal<'a> {
    Text(&'a str),
    Path(&'a str),
    Duration(Duration),
    /// Name of the variant.
    Variant(String),
    Integer(i128),
    Number(f64),
    Boolean(bool),
    List(Vec<Literal<'a>>),
    Map(Vec<(&'a str, Literal<'a>)>),
    Any(&'a Node),
}

/// Reads a component file. What is faulty is left out of the component.
pub(super) fn read(root: &Node) -> (Component<'_>, Vec<Fault>) {
    let mut reader = Reader::default();
    let component = reader.component(root);
    (component, reader.faults)
}

/// The Rust type a component is named by: the last segment of its name, in Pascal case.
pub(super) fn type_name(component: &str) -> Option<String> {
    let last = component.rsplit('/').find(|part| !part.is_empty())?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let name = casing::pascal(last);
    let good = last.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name != "Self";
    good.then_some(name)
}

/// The field for a key: in snake case, and with `_` where not even `r#` makes it a name.
fn field_name(key: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.starts_with(|c: char| c.is_ascii_alphabetic()) || !key.chars().all(plain) {
        return None;
    }
    let mut name = casing::snake(key);
    if matches!(&*name, "crate" | "self" | "super") {
        name.push('_');
    }
    Some(name)
}

#[derive(Default)]
struct Reader {
    faults: Vec<Fault>,
}

/// The known keys of an object, and where in the file they are.
struct Keys<'a> {
    members: Vec<&'a Member>,
    at: Position,
    /// As in `config_schema.account`.
    path: String,
}

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Member> {
        // Of those with the same key the last.
        self.members.iter().rfind(|member| member.key == key).copied()
    }
}

impl Reader {
    fn fault(&mut self, at: Position, message: impl Into<String>) {
        self.faults.push(Fault { at, message: message.into() });
    }

    fn component<'a>(&mut self, root: &'a Node) -> Component<'a> {
        let mut component = Component::default();
        let Value::Object(members) = &root.value else {
            let found = root.found();
            self.fault(root.at, format!("expected a component, found {found}"));
            return component;
        };
        let mut schema = None;
        for member in members {
            match &*member.key {
                "name" if self.text(member, "").is_some() => component.name = Some(member),
                "description" => component.description = self.text(member, ""),
                "config_schema" => schema = Some(member),
                _ => {}
            }
        }
        let Some(schema) = schema else {
            let mut keys = Vec::new();
            for member in members {
                keys.push(&*member.key);
            }
            let near = suggest::nearest("config_schema", &keys);
            let (mut at, mut message) = (root.at, "the component has no `config_schema`".to_owned());
            if let Some(member) = members.iter().find(|member| Some(&*member.key) == near) {
                at = member.at;
                message += &format!("; did you mean it by `{}`?", shown(&member.key));
            }
            self.fault(at, message);
            return component;
        };
        let Value::Object(settings) = &schema.node.value else {
            self.expected(&schema.node, "an object", "config_schema");
            return component;
        };
        let (mut names, mut enums) = (Names::default(), Names::default());
        for (nth, setting) in settings.iter().enumerate() {
            let field = self.field(setting);
            let Some(name) = field_name(&setting.key) else {
                continue;
            };
            // The same key again is reported for the whole file.
            if let Some(other) = names.insert(name.clone(), nth) {
                let other = &settings[other].key;
                if *other != setting.key {
                    let message = format!(
                        "keys `{}` and `{}` in `config_schema` both become the field `{name}`",
                        shown(other),
                        shown(&setting.key)
                    );
                    self.fault(setting.at, message);
                }
                continue;
            }
            let Some(field) = field else {
                continue;
            };
            if field.kind.variants().is_some()
                && let Some(other) = enums.insert(casing::pascal(&name), nth)
            {
                let message = format!(
                    "keys `{}` and `{}` in `config_schema` both name their enum `…{}`",
                    shown(&settings[other].key),
                    shown(field.key),
                    casing::pascal(&name)
                );
                self.fault(setting.at, message);
                continue;
            }
            component.fields.push(field);
        }
        component
    }

    fn field<'a>(&mut self, setting: &'a Member) -> Option<Field<'a>> {
        let before = self.faults.len();
        let name = field_name(&setting.key);
        if name.is_none() {
            let message = format!(
                "`{}` in `config_schema` cannot name a setting\n\
                 a name begins with a letter and consists of letters, digits, `_` and `-`",
                shown(&setting.key)
            );
            self.fault(setting.at, message);
        }
        let path = format!("config_schema.{}", shown(&setting.key));
        let mut known = Vec::new();
        for (key, _) in &KEYS {
            known.push(*key);
        }
        let keys = self.keys(&setting.node, setting.at, path, &known)?;
        let path = &*keys.path;

        let kind = self.kind(&keys);
        let description = keys.get("description").and_then(|m| self.text(m, path));
        let required = self.flag(&keys, "required").unwrap_or(false);
        // When in doubt it is one, so that no message shows its default.
        let secret = self.flag(&keys, "secret").unwrap_or(true);
        let pattern = self.pattern(&keys);
        let length = self.length(&keys);
        let default = keys.get("default").filter(|member| !matches!(member.node.value, Value::Null));

        if let Some(default) = default {
            if secret {
                let message = format!("a secret takes no `default`, as `{path}` has");
                self.fault(default.at, message);
            }
            if required {
                let message = format!(
                    "`default` contradicts `required` in `{path}`\n\
                     a setting with a default may be left out: keep one of the two"
                );
                self.fault(default.at, message);
            }
        }
        if secret && let Some(listed) = keys.get("enum") {
            let message = format!("a secret takes no `enum`, as `{path}` has: it would publish it");
            self.fault(listed.at, message);
        }

        let mut kind = kind?;
        let range = self.range(&keys, &mut kind);
        let literal = match default {
            Some(default) if !secret => {
                let literal = self.literal(&default.node, &kind, path);
                if let Some(literal) = &literal {
                    self.limits(literal, default.node.at, range, length, path);
                }
                literal
            }
            _ => None,
        };
        let presence = match literal {
            Some(literal) => Presence::Default(literal),
            None if required => Presence::Required,
            None => Presence::Optional,
        };
        // A setting that is half understood would only cause errors elsewhere.
        if self.faults.len() > before {
            return None;
        }
        Some(Field {
            key: &setting.key,
            at: setting.at,
            name: name?,
            description,
            kind,
            secret,
            presence,
            range,
            length,
            pattern,
        })
    }

    /// The keys of an object, each of them a known one.
    fn keys<'a>(&mut self, node: &'a Node, at: Position, path: String, known: &[&'static str]) -> Option<Keys<'a>> {
        let Value::Object(given) = &node.value else {
            let hint = match &node.value {
                Value::String(name) if TYPES.contains(&&**name) => {
                    format!("; write {{\"type\": \"{name}\"}}")
                }
                _ => String::new(),
            };
            let found = node.found();
            let message = format!("expected an object for `{path}`, found {found}{hint}");
            self.fault(node.at, message);
            return None;
        };
        let mut members = Vec::new();
        for member in given {
            if known.contains(&&*member.key) {
                members.push(member);
            } else {
                match called_elsewhere(&member.key).filter(|name| known.contains(name)) {
                    Some(name) => {
                        let (key, known) = (shown(&member.key), one_of(known));
                        let message = format!("unknown key `{key}` in `{path}`; did you mean `{name}`?\n{known}");
                        self.fault(member.at, message);
                    }
                    None => self.unknown("key", &member.key, member.at, &path, known),
                }
            }
        }
        Some(Keys { members, at, path })
    }

    /// The type of a setting or of its elements.
    fn kind(&mut self, keys: &Keys<'_>) -> Option<Kind> {
        let path = &*keys.path;
        let Some(member) = keys.get("type") else {
            let message = format!("missing `type` in `{path}`\n{}", one_of(&TYPES));
            self.fault(keys.at, message);
            return None;
        };
        let given = self.text(member, path)?;
        if !TYPES.contains(&given) {
            match elsewhere(given) {
                Some(name) => {
                    let message = format!(
                        "unknown type `{}` in `{path}`; did you mean `{name}`?\n{}",
                        shown(given),
                        one_of(&TYPES)
                    );
                    self.fault(member.node.at, message);
                }
                None => self.unknown("type", given, member.node.at, path, &TYPES),
            }
            return None;
        }
        for (key, types) in &KEYS {
            if let Some(member) = keys.get(key)
                && !types.is_empty()
                && !types.contains(&given)
            {
                let types = joined(types, ", ");
                let message = format!("`{key}` in `{path}` is for {types}, not for {given}");
                self.fault(member.at, message);
            }
        }
        match given {
            "array" => Some(Kind::Array(Box::new(self.element(keys, "items")?))),
            "object" => Some(Kind::Object(Box::new(self.element(keys, "values")?))),
            "boolean" => Some(Kind::Boolean),
            "integer" => Some(Kind::Integer(Width::I64)),
            "number" => Some(Kind::Number),
            _ => self.string_kind(keys),
        }
    }

    fn element(&mut self, keys: &Keys<'_>, key: &str) -> Option<Kind> {
        let Some(member) = keys.get(key) else {
            return Some(Kind::Any);
        };
        let path = format!("{}.{key}", keys.path);
        let keys = self.keys(&member.node, member.at, path, &ELEMENT_KEYS)?;
        self.kind(&keys)
    }

    fn string_kind(&mut self, keys: &Keys<'_>) -> Option<Kind> {
        let path = &*keys.path;
        let narrowed = match (keys.get("enum"), keys.get("format")) {
            (Some(_), Some(second)) => {
                let message = format!("`{path}` takes `enum` or `format`, not both");
                self.fault(second.at, message);
                return None;
            }
            (Some(narrowed), None) | (None, Some(narrowed)) => narrowed,
            (None, None) => return Some(Kind::Text),
        };
        for limit in &["length", "max_length", "min_length", "pattern"] {
            if let Some(member) = keys.get(limit) {
                let message = format!("`{limit}` in `{path}` is not for `{}`", narrowed.key);
                self.fault(member.at, message);
            }
        }
        if narrowed.key == "enum" {
            return self.variants(narrowed, path).map(Kind::Enum);
        }
        match self.text(narrowed, path)? {
            "duration" => Some(Kind::Duration),
            "path" => Some(Kind::Path),
            other => {
                self.unknown("format", other, narrowed.node.at, path, &FORMATS);
                None
            }
        }
    }

    fn variants(&mut self, member: &Member, path: &str) -> Option<Vec<Variant>> {
        let Value::Array(items) = &member.node.value else {
            self.expected(&member.node, "an array of strings", &format!("{path}.enum"));
            return None;
        };
        if items.is_empty() {
            let message = format!("`enum` in `{path}` is empty: no value would do");
            self.fault(member.node.at, message);
            return None;
        }
        let before = self.faults.len();
        let mut variants: Vec<Variant> = Vec::new();
        let mut names = Names::default();
        for item in items {
            let Value::String(value) = &item.value else {
                self.expected(item, "a string", &format!("{path}.enum"));
                continue;
            };
            let name = variant_name(value);
            if name.is_empty() || !value.is_ascii() {
                let message = format!(
                    "\"{}\" in `{path}.enum` cannot name a variant\n\
                     a value consists of ASCII characters and has a letter or digit; \
                     without `enum`, `pattern` can list others",
                    shown(value)
                );
                self.fault(item.at, message);
                continue;
            }
            match names.get(&name).map(|nth| &variants[*nth].value) {
                Some(other) if other == value => {
                    let message = format!("\"{}\" is repeated in `{path}.enum`", shown(value));
                    self.fault(item.at, message);
                }
                Some(other) => {
                    let message = format!(
                        "\"{}\" and \"{}\" in `{path}.enum` both become the variant `{name}`",
                        shown(other),
                        shown(value)
                    );
                    self.fault(item.at, message);
                }
                None => {
                    names.insert(name.clone(), variants.len());
                    let value = value.clone();
                    variants.push(Variant { value, name });
                }
            }
        }
        (self.faults.len() == before).then_some(variants)
    }

    fn pattern<'a>(&mut self, keys: &Keys<'a>) -> Option<&'a str> {
        let member = keys.get("pattern")?;
        let pattern = self.text(member, &keys.path)?;
        if pattern.is_empty() {
            let message = format!("`pattern` in `{}` is empty: it admits anything", keys.path);
            self.fault(member.node.at, message);
        }
        Some(pattern)
    }

    fn length(&mut self, keys: &Keys<'_>) -> Option<Bounds<i128>> {
        let names = ["min_length", "max_length", "length"];
        let (bounds, at) = self.bounds(keys, names, Self::count)?;
        self.not_empty(bounds, at, &keys.path, "length");
        Some(bounds)
    }

    /// The range, and the narrowest type it fits, if it is one of integers.
    fn range(&mut self, keys: &Keys<'_>, kind: &mut Kind) -> Option<Range> {
        let names = ["minimum", "maximum", "range"];
        match kind {
            Kind::Integer(width) => {
                let (bounds, at) = self.bounds(keys, names, Self::integer)?;
                if self.not_empty(bounds, at, &keys.path, "range") {
                    *width = self.width(bounds, at, &keys.path);
                }
                Some(Range::Integer(bounds))
            }
            Kind::Number => {
                let (bounds, at) = self.bounds(keys, names, Self::number)?;
                self.not_empty(bounds, at, &keys.path, "range");
                Some(Range::Number(bounds))
            }
            _ => None,
        }
    }

    fn width(&mut self, bounds: Bounds<i128>, at: Position, path: &str) -> Width {
        if let (Some(0..), Some(high)) = (bounds.low, bounds.high) {
            return match high {
                _ if Width::U16.holds(high) => Width::U16,
                _ if Width::U32.holds(high) => Width::U32,
                _ => Width::U64,
            };
        }
        let most = i128::from(i64::MAX);
        if bounds.low > Some(most) || bounds.high > Some(most) {
            let message = format!(
                "the range of `{path}` does not fit a signed 64-bit integer\n\
                 with a `minimum` of 0 or more and a `maximum` it would be unsigned"
            );
            self.fault(at, message);
        }
        Width::I64
    }

    /// Two ends, given one by one or as a pair.
    fn bounds<T: Copy>(
        &mut self,
        keys: &Keys<'_>,
        [low, high, both]: [&str; 3],
        read: fn(&mut Self, &Node, &str) -> Option<T>,
    ) -> Option<(Bounds<T>, Position)> {
        let path = &*keys.path;
        let (low, high) = (keys.get(low), keys.get(high));
        if let Some(both) = keys.get(both) {
            for end in [low, high] {
                let Some(end) = end else { continue };
                let (end, key, at) = (&end.key, &both.key, end.at);
                let message = format!("`{key}` already says the `{end}` of `{path}`");
                self.fault(at, message);
            }
            let path = format!("{path}.{}", both.key);
            let (low, high) = match &both.node.value {
                Value::Array(ends) if ends.len() == 2 => (&ends[0], &ends[1]),
                Value::Number(_) if both.key == "length" => (&both.node, &both.node),
                _ => {
                    self.expected(&both.node, "[least, most]", &path);
                    return None;
                }
            };
            let bounds = Bounds { low: Some(read(self, low, &path)?), high: Some(read(self, high, &path)?) };
            return Some((bounds, both.at));
        }
        let at = high.or(low)?.at;
        let mut end = |end: Option<&Member>| end.and_then(|end| read(self, &end.node, &format!("{path}.{}", end.key)));
        let bounds = Bounds { low: end(low), high: end(high) };
        Some((bounds, at))
    }

    fn not_empty<T: PartialOrd + ToString>(&mut self, bounds: Bounds<T>, at: Position, path: &str, what: &str) -> bool {
        if let (Some(low), Some(high)) = (bounds.low, bounds.high)
            && low > high
        {
            let (low, high) = (low.to_string(), high.to_string());
            let message = format!("the {what} of `{path}` is empty: {low} is above {high}");
            self.fault(at, message);
            return false;
        }
        true
    }

    fn literal<'a>(&mut self, node: &'a Node, kind: &Kind, path: &str) -> Option<Literal<'a>> {
        let path = &format!("{path}.default");
        self.element_literal(node, kind, path)
    }

    fn element_literal<'a>(&mut self, node: &'a Node, kind: &Kind, path: &str) -> Option<Literal<'a>> {
        match (kind, &node.value) {
            (Kind::Text, Value::String(text)) => Some(Literal::Text(text)),
            (Kind::Path, Value::String(text)) => Some(Literal::Path(text)),
            (Kind::Duration, Value::String(text)) => {
                let duration = duration(text);
                if duration.is_none() {
                    self.expected(node, kind.wanted(), path);
                }
                duration.map(Literal::Duration)
            }
            (Kind::Enum(variants), Value::String(text)) => {
                if let Some(variant) = variants.iter().find(|variant| variant.value == *text) {
                    return Some(Literal::Variant(variant.name.clone()));
                }
                let mut values = Vec::new();
                for variant in variants {
                    values.push(&*variant.value);
                }
                self.unknown("value", text, node.at, path, &values);
                None
            }
            (Kind::Integer(width), Value::Number(_)) => {
                let value = self.integer(node, path)?;
                if !width.holds(value) {
                    let message = format!("{value} in `{path}` does not fit {}", width.name());
                    self.fault(node.at, message);
                }
                Some(Literal::Integer(value))
            }
            (Kind::Number, Value::Number(_)) => self.number(node, path).map(Literal::Number),
            (Kind::Boolean, Value::Boolean(value)) => Some(Literal::Boolean(*value)),
            (Kind::Array(kind), Value::Array(items)) => {
                let mut list = Vec::new();
                for item in items {
                    list.push(self.element_literal(item, kind, path)?);
                }
                Some(Literal::List(list))
            }
            (Kind::Object(kind), Value::Object(members)) => {
                let mut map = Vec::new();
                for Member { key, node, .. } in members {
                    map.push((&**key, self.element_literal(node, kind, path)?));
                }
                Some(Literal::Map(map))
            }
            (Kind::Any, _) => self.finite(node, path).then_some(Literal::Any(node)),
            _ => {
                self.expected(node, kind.wanted(), path);
                None
            }
        }
    }

    /// Whether every number in a free-form value has a Rust type that holds it.
    fn finite(&mut self, node: &Node, path: &str) -> bool {
        match &node.value {
            Value::Number(_) => self.number(node, path).is_some(),
            Value::Array(items) => items.iter().all(|item| self.finite(item, path)),
            Value::Object(members) => members.iter().all(|m| self.finite(&m.node, path)),
            Value::Null | Value::Boolean(_) | Value::String(_) => true,
        }
    }

    /// The default against the limits of its own setting.
    fn limits(
        &mut self,
        literal: &Literal<'_>,
        at: Position,
        range: Option<Range>,
        length: Option<Bounds<i128>>,
        path: &str,
    ) {
        let outside = match (literal, range) {
            (Literal::Integer(value), Some(Range::Integer(bounds))) => bounds.outside(*value),
            (Literal::Number(value), Some(Range::Number(bounds))) => bounds.outside(*value),
            _ => None,
        };
        if let Some(outside) = outside {
            self.fault(at, format!("the default of `{path}` is {outside}"));
        }
        let count = match literal {
            Literal::Text(text) => text.chars().count(),
            Literal::List(items) => items.len(),
            Literal::Map(entries) => entries.len(),
            _ => return,
        };
        let outside = i128::try_from(count).ok().and_then(|count| length?.outside(count));
        if let Some(outside) = outside {
            let message = format!("the length of the default of `{path}` is {outside}");
            self.fault(at, message);
        }
    }

    fn integer(&mut self, node: &Node, path: &str) -> Option<i128> {
        let Value::Number(text) = &node.value else {
            self.expected(node, "an integer", path);
            return None;
        };
        if text.contains(['.', 'e', 'E']) {
            self.expected(node, "an integer", path);
            return None;
        }
        let least = i128::from(i64::MIN);
        let most = i128::from(u64::MAX);
        let value = text.parse().ok().filter(|value| least <= *value && *value <= most);
        if value.is_none() {
            let message = format!("{} in `{path}` does not fit 64 bits", shown(text));
            self.fault(node.at, message);
        }
        value
    }

    /// How many characters, items or entries.
    fn count(&mut self, node: &Node, path: &str) -> Option<i128> {
        let count = self.integer(node, path)?;
        if count < 0 {
            self.fault(node.at, format!("`{path}` is negative"));
            return None;
        }
        Some(count)
    }

    fn number(&mut self, node: &Node, path: &str) -> Option<f64> {
        let Value::Number(text) = &node.value else {
            self.expected(node, "a number", path);
            return None;
        };
        let value = text.parse().ok().filter(|value: &f64| value.is_finite());
        if value.is_none() {
            let message = format!("{} in `{path}` does not fit a 64-bit float", shown(text));
            self.fault(node.at, message);
        }
        value
    }

    fn text<'a>(&mut self, member: &'a Member, path: &str) -> Option<&'a str> {
        if let Value::String(text) = &member.node.value {
            return Some(text);
        }
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{}", member.key);
        self.expected(&member.node, "a string", &path);
        None
    }

    /// False without the key, none if its value is neither true nor false.
    fn flag(&mut self, keys: &Keys<'_>, key: &str) -> Option<bool> {
        let Some(member) = keys.get(key) else {
            return Some(false);
        };
        if let Value::Boolean(value) = member.node.value {
            return Some(value);
        }
        let path = format!("{}.{key}", keys.path);
        self.expected(&member.node, "true or false", &path);
        None
    }

    fn expected(&mut self, node: &Node, what: &str, path: &str) {
        let found = node.found();
        self.fault(node.at, format!("expected {what} for `{path}`, found {found}"));
    }

    fn unknown(&mut self, what: &str, got: &str, at: Position, path: &str, known: &[&str]) {
        let near = suggest::nearest(got, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let got = shown(got);
        let known = one_of(known);
        self.fault(at, format!("unknown {what} `{got}` in `{path}`{near}\n{known}"));
    }
}

impl Kind {
    /// The values of the enum this type is or contains.
    pub(super) fn variants(&self) -> Option<&[Variant]> {
        match self {
            Self::Enum(variants) => Some(variants),
            Self::Array(kind) | Self::Object(kind) => kind.variants(),
            _ => None,
        }
    }

    fn wanted(&self) -> &'static str {
        match self {
            Self::Text | Self::Path | Self::Enum(_) => "a string",
            Self::Duration => "a duration such as `500ms`, `30s`, `5m` or `1h30m`",
            Self::Integer(_) => "an integer",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
            Self::Any => "a value",
        }
    }
}

impl Width {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::I64 => "i64",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
        }
    }

    fn holds(self, value: i128) -> bool {
        match self {
            Self::I64 => i64::try_from(value).is_ok(),
            Self::U16 => u16::try_from(value).is_ok(),
            Self::U32 => u32::try_from(value).is_ok(),
            Self::U64 => u64::try_from(value).is_ok(),
        }
    }
}

impl<T: Copy + PartialOrd + ToString> Bounds<T> {
    fn outside(self, value: T) -> Option<String> {
        if let Some(low) = self.low.filter(|low| value < *low) {
            return Some(format!("{}, below {}", value.to_string(), low.to_string()));
        }
        let high = self.high.filter(|high| value > *high)?;
        Some(format!("{}, above {}", value.to_string(), high.to_string()))
    }
}

fn one_of(names: &[&str]) -> String {
    const MOST: usize = 20;
    let mut shortened = Vec::new();
    for name in names {
        shortened.push(format!("`{}`", shown(name)));
    }
    let mut names = Vec::new();
    for name in &shortened {
        names.push(&**name);
    }
    names.sort_unstable();
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let listed = joined(&names, ", ");
    match more {
        0 => format!("expected one of {listed}"),
        _ => format!("expected one of {listed} and {more} more"),
    }
}

/// The type that other schema languages call so.
fn elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "bool" => "boolean",
        "dict" | "map" => "object",
        "double" | "float" => "number",
        "enum" | "secret" | "str" | "text" => "string",
        "int" => "integer",
        "list" => "array",
        _ => return None,
    })
}

/// The key that has this name in other schema languages.
fn called_elsewhere(key: &str) -> Option<&'static str> {
    Some(match key {
        "min" | "ge" | "gte" | "least" => "minimum",
        "max" | "le" | "lte" | "most" => "maximum",
        "minLength" | "min_len" | "minItems" => "min_length",
        "maxLength" | "max_len" | "maxItems" => "max_length",
        "regex" => "pattern",
        "choices" | "one_of" | "oneOf" => "enum",
        "doc" | "docs" | "help" => "description",
        _ => return None,
    })
}

/// Pascal case; empty if the value has nothing to build a name from.
fn variant_name(value: &str) -> String {
    let name = casing::pascal(value);
    if name == "Self" {
        return "Self_".to_owned();
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("_{name}");
    }
    name
}

/// What `mlx_core` reads as a duration: whole numbers, each with a unit.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (amount, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| c.is_ascii_lowercase());
        if amount.len() > if matches!(unit, "m" | "h" | "d") { 14 } else { 18 } {
            return None;
        }
        let amount = u64::try_from(amount.parse::<i128>().ok()?).ok()?;
        let seconds = |each| amount.checked_mul(each).map(Duration::from_secs);
        let part = match unit {
            "ns" => Duration::from_nanos(amount),
            "us" => Duration::from_micros(amount),
            "ms" => Duration::from_millis(amount),
            "s" => seconds(1)?,
            "m" => seconds(60)?,
            "h" => seconds(3_600)?,
            "d" => seconds(86_400)?,
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// The text before the first character of another kind, and the rest.
fn split(text: &str, kind: fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !kind(c)).unwrap_or(text.len()))
}
