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
    /// Any names, all with values of one type.
    Map,
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
    /// Inclusive least value, greatest value, and whether the greatest is exclusive.
    pub range: (Option<f64>, Option<f64>, bool),
    /// Least and greatest length, both inclusive.
    pub length: (Option<usize>, Option<usize>),
    /// For an inherited set of fields: the type they come from.
    pub flatten: Option<&'static Meta>,
    /// For an inherited set of fields: its changed defaults.
    pub defaults: &'static [DefaultOverride],
    /// Where it was declared, when that is not this Rust file: `component.json:7`.
    pub source: &'static str,
}

/// A variant of an enum.
pub struct Variant {
    /// Its name in a file.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
    /// Whether it is written as its bare name.
    pub unit: bool,
}

impl Meta {
    /// Whether a field of this name is declared here or inherited. Usable in constants, so that the derive can
    /// refuse a field that is declared twice.
    pub const fn declares(&self, name: &str) -> bool {
        self.declared_in(name).is_some()
    }

    /// The place that declares a field of this name: a `component.json` with its line, or the Rust type.
    pub const fn declared_in(&self, name: &str) -> Option<&'static str> {
        let Shape::Struct(fields) = self.shape else { return None };
        let mut i = 0;
        while i < fields.len() {
            match fields[i].flatten {
                Some(meta) => {
                    let found = meta.declared_in(name);
                    if found.is_some() {
                        return found;
                    }
                }
                None if equal(fields[i].name, name) => {
                    return Some(match (fields[i].source, self.component) {
                        ("", "") => self.name,
                        ("", component) => component,
                        (source, _) => source,
                    });
                }
                None => {}
            }
            i += 1;
        }
        None
    }
}

const fn equal(a: &str, b: &str) -> bool {
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
