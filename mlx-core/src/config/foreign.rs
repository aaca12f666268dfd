//! Types that bring their own serde implementations: `#[config(serde)]`.

use super::Reader;
use crate::{diagnostics::Code, value::Node};

/// Reads a value through serde. Its messages name no position inside the value, and are dropped under a secret,
/// because serde quotes what it rejects.
#[inline(never)]
pub fn read<T: serde::de::DeserializeOwned>(node: &Node, cx: &mut Reader<'_>) -> Option<T> {
    let node = cx.scalar(node)?;
    match serde_json::from_value(node.to_json()) {
        Ok(value) => Some(value),
        Err(error) => {
            let message = if cx.is_secret() { "the secret has the wrong form".to_owned() } else { error.to_string() };
            cx.error(Code::InvalidValue, message, node.location.as_ref());
            None
        }
    }
}

/// Writes a value through serde; what cannot be written becomes null.
#[inline(never)]
pub fn write<T: serde::Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The schema of a foreign type.
pub fn schema<T: schemars::JsonSchema>(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<T>()
}

/// A foreign type says nothing about being left out.
pub fn missing<T>() -> Option<T> {
    None
}
