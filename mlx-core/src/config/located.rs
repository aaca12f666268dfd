//! A value that remembers where it was written.

use super::{ConfigValue, Reader};
use crate::{diagnostics::Location, value::Node};
use schemars::{Schema, SchemaGenerator};
use std::ops::Deref;

/// A value, and where it was written when it came from a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its position.
    pub location: Option<Location>,
}

impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Located { value, location: None }
    }
}

impl<T> Deref for Located<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ConfigValue> ConfigValue for Located<T> {
    const OPTIONAL: bool = T::OPTIONAL;
    const SECRET: bool = T::SECRET;

    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        T::read(node, cx).map(|value| Located { value, location: node.location.clone() })
    }
    fn missing() -> Option<Self> {
        T::missing().map(Located::from)
    }
    fn write(&self) -> serde_json::Value {
        self.value.write()
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

/// A value that is read later, by whoever knows its type.
impl ConfigValue for Node {
    fn read(node: &Node, _: &mut Reader<'_>) -> Option<Self> {
        Some(node.clone())
    }
    fn write(&self) -> serde_json::Value {
        self.to_json()
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}
