//! A value that never shows itself.

use super::{ConfigValue, Reader};
use crate::value::{Node, REDACTED};
use schemars::{Schema, SchemaGenerator};
use std::fmt;

/// A value that prints as `[redacted]` in `Debug`, `Display`, JSON and diagnostics, and has `writeOnly` in its
/// schema. [`expose`](Secret::expose) is the only way to the value.
///
/// In a composition it may be a reference (`${env:NAME}`, `${file:PATH}`, `${plugin:KEY}`), which is looked up
/// when the plugin starts and not before.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Secret(value)
    }

    /// The value itself. Do not print it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Unwraps the value. Do not print it.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Secret(value)
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Secret(value.to_owned())
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> serde::Serialize for Secret<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Secret<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error of `T` could quote the value.
        T::deserialize(deserializer).map(Secret).map_err(|_| serde::de::Error::custom("a secret has the wrong type"))
    }
}

impl<T: ConfigValue> ConfigValue for Secret<T> {
    const SECRET: bool = true;

    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        cx.secret(|cx| cx.deferred(node, T::read)).map(Secret)
    }

    fn write(&self) -> serde_json::Value {
        REDACTED.into()
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        super::schema::secret(T::schema(generator))
    }
}
