//! What a derive knows about a configuration type, as constant data.

use super::DefaultOverride;
use schemars::{Schema, SchemaGenerator};

/// A configuration type.
pub struct Meta {
    /// The Rust name of the type.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
    /// The component file it was generated from, or empty.
    pub component: &'static str,
    /// Its fields or variants.
    pub shape: Shape,
}

/// The shape of a configuration type.
pub enum Shape {
    /// Named fields.
    Struct(&'static [Field]),
    /// One of several variants. With a tag, the mapping names its variant in that field; without, a unit variant
    /// is its name and the others are a mapping with one key.
    Enum {
        /// The field that names the variant.
        tag: Option<&'static str>,
        /// The variants.
        variants: &'static [Variant],
    },
    /// A value of another type, with more said about it.
    Value(&'static Field),
    /// Any names, all with values of one type, whose schema this is.
    Map(fn(&mut SchemaGenerator) -> Schema),
}

/// A field of a configuration type.
pub struct Field {
    /// Its name in a file.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
    /// Whether its value is hidden.
    pub secret: bool,
    /// Whether it may be left out though it has no default.
    pub optional: bool,
    /// The schema of its type.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Its default as JSON.
    pub default: Option<fn() -> serde_json::Value>,
    /// Its range.
    pub range: Option<&'static Limits>,
    /// Its range, where a constant cannot say it.
    pub limits: Option<fn() -> Limits>,
    /// Least and greatest length, both inclusive.
    pub length: (Option<usize>, Option<usize>),
    /// A regular expression that its text matches somewhere, or empty.
    pub pattern: &'static str,
    /// For an inherited set of fields: the type they come from.
    pub flatten: Option<&'static Meta>,
    /// For an inherited set of fields: its changed defaults.
    pub defaults: &'static [DefaultOverride],
    /// Where it was declared, when that is not this Rust file: `component.json:7`.
    pub source: &'static str,
    /// What is said of few fields.
    pub more: &'static More,
}

/// Inclusive least value, greatest value, and whether the greatest is exclusive.
pub type Limits = (Option<Choice>, Option<Choice>, bool);

/// What is said of few fields. Most share one that says nothing.
pub struct More {
    /// Other names in a file.
    pub aliases: &'static [&'static str],
    /// The environment variable that stands in when the file lacks the field, or empty.
    pub env: &'static str,
    /// What to write instead of the field, if it is deprecated, or empty.
    pub deprecated: &'static str,
    /// Examples as JSON.
    pub examples: &'static [fn() -> serde_json::Value],
    /// The only values there are, or empty.
    pub one_of: &'static [Choice],
}

impl More {
    /// Nothing more.
    pub const NONE: More = More { aliases: &[], env: "", deprecated: "", examples: &[], one_of: &[] };
}

/// A value that a field is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// A text.
    Text(&'static str),
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float(f64),
}

/// A variant of an enum.
pub struct Variant {
    /// Its name in a file.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
    /// What it holds.
    pub content: Content,
}

/// What a variant of an enum holds.
pub enum Content {
    /// Nothing: it is written as its bare name.
    Unit,
    /// Named fields.
    Fields(&'static [Field]),
    /// A value of another type.
    Value(fn(&mut SchemaGenerator) -> Schema),
}

impl Field {
    /// A field without anything but its type: how that is described, whether it may be left out, and whether it is
    /// hidden.
    pub const fn new(
        name: &'static str,
        doc: &'static str,
        schema: fn(&mut SchemaGenerator) -> Schema,
        optional: bool,
        secret: bool,
    ) -> Self {
        Field {
            name,
            doc,
            secret,
            optional,
            schema,
            default: None,
            range: None,
            limits: None,
            length: (None, None),
            pattern: "",
            flatten: None,
            defaults: &[],
            source: "",
            more: &More::NONE,
        }
    }

    /// The fields of another type, laid flat, some with other defaults.
    pub const fn inherited(meta: &'static Meta, defaults: &'static [DefaultOverride]) -> Self {
        Field { flatten: Some(meta), defaults, ..Field::new("", "", super::schema::anything, false, false) }
    }

    /// Sets its default.
    #[must_use]
    pub const fn default(self, default: fn() -> serde_json::Value) -> Self {
        Field { default: Some(default), ..self }
    }

    /// Sets its range.
    #[must_use]
    pub const fn range(self, range: &'static Limits) -> Self {
        Field { range: Some(range), ..self }
    }

    /// Sets its range, where a constant cannot say it.
    #[must_use]
    pub const fn limits(self, limits: fn() -> Limits) -> Self {
        Field { limits: Some(limits), ..self }
    }

    /// Sets how long it may be.
    #[must_use]
    pub const fn length(self, min: Option<usize>, max: Option<usize>) -> Self {
        Field { length: (min, max), ..self }
    }

    /// Sets its pattern.
    #[must_use]
    pub const fn pattern(self, pattern: &'static str) -> Self {
        Field { pattern, ..self }
    }

    /// Sets what is said of few fields.
    #[must_use]
    pub const fn more(self, more: &'static More) -> Self {
        Field { more, ..self }
    }

    /// Whether it has this name in a file.
    pub const fn is_called(&self, name: &str) -> bool {
        if equal(self.name, name) {
            return true;
        }
        let mut i = 0;
        while i < self.more.aliases.len() {
            if equal(self.more.aliases[i], name) {
                return true;
            }
            i += 1;
        }
        false
    }

    /// Sets where it was declared.
    #[must_use]
    pub const fn source(self, source: &'static str) -> Self {
        Field { source, ..self }
    }
}

impl Meta {
    /// Whether a field of this name is declared here or inherited. Usable in constants, so that the derive can
    /// refuse a field that is declared twice.
    pub const fn declares(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The place that declares a field of this name: a `component.json` with its line, or the Rust type.
    pub const fn declared_in(&self, name: &str) -> Option<&'static str> {
        match self.find(name) {
            Some((_, place)) => Some(place),
            None => None,
        }
    }

    const fn find(&self, name: &str) -> Option<(&'static Field, &'static str)> {
        let fields = self.fields();
        let mut i = 0;
        while i < fields.len() {
            let field = &fields[i];
            match field.flatten {
                Some(meta) => {
                    let found = meta.find(name);
                    if found.is_some() {
                        return found;
                    }
                }
                None if field.is_called(name) => {
                    let place = match () {
                        () if !field.source.is_empty() => field.source,
                        () if !self.component.is_empty() => self.component,
                        () => self.name,
                    };
                    return Some((field, place));
                }
                None => {}
            }
            i += 1;
        }
        None
    }

    /// The fields of a struct, or none.
    pub const fn fields(&self) -> &'static [Field] {
        match self.shape {
            Shape::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// The fields of a variant of an enum, or none.
    pub const fn variant(&self, index: usize) -> &'static [Field] {
        match self.shape {
            Shape::Enum { variants, .. } => match variants[index].content {
                Content::Fields(fields) => fields,
                _ => &[],
            },
            _ => &[],
        }
    }
}

/// Refuses, while compiling, a field that an inherited type declares already.
#[track_caller]
pub const fn assert_undeclared(inherited: &Meta, name: &str) {
    if let Some((_, place)) = inherited.find(name) {
        let message = Message::new().with("field `").with(name).with("` is already declared in ").with(place);
        panic!("{}", message.as_str());
    }
}

/// Refuses, while compiling, two inherited types that declare the same field, and fields after a map, which would
/// take them all.
#[track_caller]
pub const fn assert_disjoint(first: &Meta, second: &Meta) {
    if let Shape::Map(_) = first.shape {
        panic!("the map before this takes every setting that is left: put it last");
    }
    let fields = second.fields();
    let mut i = 0;
    while i < fields.len() {
        match fields[i].flatten {
            Some(meta) => assert_disjoint(first, meta),
            None => {
                assert_undeclared(first, fields[i].name);
                let aliases = fields[i].more.aliases;
                let mut j = 0;
                while j < aliases.len() {
                    assert_undeclared(first, aliases[j]);
                    j += 1;
                }
            }
        }
        i += 1;
    }
}

/// Refuses, while compiling, a default for a field that is not inherited, or that is secret. A secret may be empty:
/// that makes it optional, and shows nothing.
#[track_caller]
pub const fn assert_overridable(inherited: &Meta, name: &str, empty: bool) {
    match inherited.find(name) {
        None => {
            let message = Message::new().with("`").with(inherited.name).with("` has no field `").with(name);
            panic!("{}", message.with("` to give a default").as_str());
        }
        Some((field, place)) if field.secret && !empty => {
            let message = Message::new().with("field `").with(name).with("` is secret in ").with(place);
            panic!("{}", message.with(": its default would be in the source").as_str());
        }
        Some(_) => {}
    }
}

/// Refuses, while compiling, a default for a secret.
#[track_caller]
pub const fn assert_public(secret: bool) {
    assert!(
        !secret,
        "the default of a secret would be in the source: make the field optional, or leave the default out"
    );
}

/// Refuses, while compiling, an example of a secret, or a list of its values.
#[track_caller]
pub const fn assert_shown(secret: bool) {
    assert!(!secret, "the value of a secret would be in the schema for all to see");
}

/// Refuses, while compiling, to warn of a field that every file has to have.
#[track_caller]
pub const fn assert_avoidable(optional: bool) {
    assert!(
        optional,
        "nobody can do without a deprecated field that is required: make it an `Option`, or give it a default"
    );
}

/// Refuses, while compiling, a range of durations in nanoseconds, or of sizes in bytes, that nothing is in.
#[track_caller]
pub const fn assert_not_empty(min: u128, max: u128, exclusive: bool) {
    assert!(min < max || (min == max && !exclusive), "the range is empty: no value is right");
}

/// Refuses, while compiling, a default that no file could say. An empty range is refused as such.
#[track_caller]
pub const fn assert_within(default: u128, min: Option<u128>, max: Option<u128>, exclusive: bool) {
    if let (Some(min), Some(max)) = (min, max)
        && (min > max || (exclusive && min == max))
    {
        return;
    }
    let above = match min {
        Some(min) => default >= min,
        None => true,
    };
    let below = match max {
        Some(max) => default < max || (default == max && !exclusive),
        None => true,
    };
    assert!(above && below, "the default is outside the range");
}

/// A text put together in a constant; what does not fit is cut off.
pub(super) struct Message {
    bytes: [u8; 512],
    length: usize,
}

impl Message {
    pub(super) const fn new() -> Self {
        Message { bytes: [0; 512], length: 0 }
    }

    pub(super) const fn with(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        if self.length + text.len() <= self.bytes.len() {
            let (_, free) = self.bytes.split_at_mut(self.length);
            let (target, _) = free.split_at_mut(text.len());
            target.copy_from_slice(text);
            self.length += text.len();
        }
        self
    }

    pub(super) const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}

pub(super) const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
