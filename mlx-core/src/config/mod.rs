//! Typed configuration: reading it from a value tree, its schema, and secrets.
//!
//! `#[derive(PluginConfig)]` writes the implementations of the traits here.

mod bounds;
mod byte_size;
pub mod foreign;
mod located;
mod meta;
mod outline;
mod pattern;
mod reader;
mod scalars;
pub mod schema;
mod secret;
#[cfg(feature = "url")]
mod url;

pub use crate::value::REDACTED;
pub use bounds::{Bounds, Length, Limit, Ranged};
pub use byte_size::{ByteSize, ParseByteSizeError};
pub use located::Located;
pub use meta::{
    Choice, Content, Field, Limits, Meta, More, Shape, Variant, assert_avoidable, assert_disjoint, assert_not_empty,
    assert_overridable, assert_public, assert_shown, assert_undeclared, assert_within,
};
pub(crate) use outline::Outline;
pub use pattern::{Pattern, Text};
pub use reader::{Absent, Awaited, DefaultOverride, Fields, Place, Reader, Resolved};
#[doc(hidden)]
pub use scalars::{written_duration, written_size};
pub use secret::Secret;

use crate::{
    diagnostics::{Diagnostic, Location},
    value::Node,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// A type that can be the type of a configuration field.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a config field",
    label = "not a config value",
    note = "derive `PluginConfig` for it, or mark the field `#[config(serde)]` if it implements serde and JsonSchema"
)]
pub trait ConfigValue: Sized {
    /// Whether a field of this type may be left out.
    const OPTIONAL: bool = false;
    /// Whether values of this type are hidden in every output.
    const SECRET: bool = false;

    /// Reads the value, or reports to `cx` what is wrong and returns `None`.
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self>;

    /// The value of an absent field, if it may be absent.
    fn missing() -> Option<Self> {
        None
    }

    /// The value as JSON, secrets redacted.
    fn write(&self) -> serde_json::Value;

    /// The JSON Schema of the type.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// A type whose fields can be laid flat into another's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be laid flat into a config",
    label = "only structs that derive `PluginConfig`, and maps with string keys, can be"
)]
pub trait ConfigFields: ConfigValue {
    /// What the type is made of.
    const META: &'static Meta;

    /// Reads the fields that are the type's own; the rest stays for others.
    fn read_fields(fields: &mut Fields<'_>, cx: &mut Reader<'_>) -> Option<Self>;

    /// Adds the fields to `map`, secrets redacted.
    fn write_fields(&self, map: &mut serde_json::Map<String, serde_json::Value>);
}

/// A type whose fields may be marked `#[config(default)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default of its own",
    label = "no default",
    note = "write the default of the field: `#[config(default = …)]`"
)]
pub trait DefaultValue: ConfigValue {
    /// The value: for a nested config what `{}` in the file would be, for anything else [`Default::default`].
    /// `location` is where the mapping is that lacks the field.
    fn default_value(location: Option<&Location>, cx: &mut Reader<'_>) -> Option<Self>;

    /// The value as JSON.
    fn default_json() -> serde_json::Value;
}

/// A type whose default may be a text: `#[config(default = "…")]`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a text is no default of a `{Self}`",
    label = "not a `{Self}`",
    note = "write an expression of that type; of an enum, its variant: `{Self}::Name`"
)]
pub trait TextDefault: Sized {
    fn of(text: &'static str) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T> TextDefault for T
where
    &'static str: Into<T>,
{
    fn of(text: &'static str) -> T {
        text.into()
    }
}

/// Says of a reference what is true of its type. A derived implementation may be bound by it where a bound of the
/// type itself, which mentions no parameter, would have to hold everywhere.
#[doc(hidden)]
pub trait HasDefault<T> {
    fn default() -> T;
}

impl<T: Default> HasDefault<T> for &T {
    fn default() -> T {
        T::default()
    }
}

/// The configuration of a plugin. Derive it: `#[derive(PluginConfig)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin config",
    label = "not a plugin config",
    note = "add `#[derive(mlx_core::PluginConfig)]` to `{Self}`"
)]
pub trait PluginConfig:
    ConfigValue + serde::Serialize + serde::de::DeserializeOwned + JsonSchema + Send + Sync + 'static
{
}

/// A plugin without settings: `type Config = NoConfig;`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, mlx_macros::PluginConfig)]
pub struct NoConfig {}

/// Reads a configuration from JSON as it stands: `${…}` is not looked up.
///
/// # Errors
/// Everything that is wrong with it.
pub fn from_json<T: ConfigValue>(json: serde_json::Value) -> Result<T, Vec<Diagnostic>> {
    let mut cx = Reader::literal();
    let value = T::read(&Node::from(json), &mut cx);
    cx.finish(value)
}

/// The schema of a configuration type as a document of its own.
pub fn schema_of<T: ConfigValue + JsonSchema>() -> Schema {
    SchemaGenerator::default().into_root_schema_for::<T>()
}

/// What `#[derive(PluginConfig)]` generates calls to.
#[doc(hidden)]
pub mod adaptor {
    use super::{ConfigValue, DefaultValue, REDACTED, Reader, from_json};
    use crate::{diagnostics::Location, value::Node};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
    use serde_json::{Map, Value, json};
    use std::borrow::Cow;

    pub fn deserialize<'de, T: ConfigValue, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let json = Value::deserialize(deserializer)?;
        // An error of serde is one text.
        from_json(json)
            .map_err(|found| D::Error::custom(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
    }

    pub fn serialize<T: ConfigValue, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.write().serialize(serializer)
    }

    /// What a struct is when its file says `{}`.
    #[inline(never)]
    pub fn empty<T: ConfigValue>(location: Option<&Location>, cx: &mut Reader<'_>) -> Option<T> {
        T::read(&empty_map(location), cx)
    }

    #[inline(never)]
    fn empty_map(location: Option<&Location>) -> Node {
        Node { location: location.cloned(), ..Node::empty_map() }
    }

    pub fn empty_json() -> Value {
        json!({})
    }

    /// What a type with a `Default` is.
    pub fn default_json<T: DefaultValue + Default>() -> Value {
        T::default().write()
    }

    #[inline(never)]
    pub fn put(map: &mut Map<String, Value>, key: &'static str, value: Value) {
        map.insert(key.to_owned(), value);
    }

    /// A variant that is written as its name.
    pub fn unit(name: &'static str) -> Value {
        name.into()
    }

    /// Type names differ for local types and for each set of type parameters.
    pub fn schema_id<T>() -> Cow<'static, str> {
        Cow::Borrowed(std::any::type_name::<T>())
    }

    /// Hides a value, but not that there is none.
    #[inline(never)]
    pub fn hidden(value: Value) -> Value {
        match value {
            Value::Null => Value::Null,
            _ => REDACTED.into(),
        }
    }

    /// A variant that is written `{name: content}`.
    #[inline(never)]
    pub fn variant(name: &'static str, content: Value) -> Value {
        let mut map = Map::new();
        map.insert(name.to_owned(), content);
        map.into()
    }
}
