//! Named values in the order of their file.

use mlx_core::{
    JsonValue,
    config::{ConfigValue, DefaultValue, Reader},
    diagnostics::Location,
    value::Node,
};

/// Named values in the order they were written. Names are unique.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered<T>(Vec<(String, Option<Location>, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Ordered(Vec::new())
    }
}

impl<T> Ordered<T> {
    /// The names and values, in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> + Clone {
        self.0.iter().map(|(name, _, value)| (name.as_str(), value))
    }

    /// The names, in the order they were written.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|(name, ..)| name.as_str())
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(known, ..)| known == name).map(|(_, _, value)| value)
    }

    /// Where a name was written.
    pub fn location(&self, name: &str) -> Option<&Location> {
        self.0.iter().find(|(known, ..)| known == name)?.1.as_ref()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: ConfigValue> ConfigValue for Ordered<T> {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let Some(map) = node.as_map() else {
            cx.expected("a mapping", node);
            return None;
        };
        // All of them are read, so that every mistake is reported.
        let read: Vec<_> = map
            .iter()
            .map(|entry| {
                let value = cx.nested(entry.key.clone(), |cx| T::read(&entry.value, cx));
                value.map(|value| (entry.key.clone(), entry.key_location.clone(), value))
            })
            .collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(Ordered)
    }
    fn write(&self) -> JsonValue {
        self.iter().map(|(name, value)| (name.to_owned(), value.write())).collect::<serde_json::Map<_, _>>().into()
    }
    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let values = T::schema(generator);
        schemars::json_schema!({"type": "object", "additionalProperties": values})
    }
}

impl<T: ConfigValue> DefaultValue for Ordered<T> {
    fn default_value(_: Option<&Location>, _: &mut Reader<'_>) -> Option<Self> {
        Some(Ordered::default())
    }
    fn default_json() -> JsonValue {
        JsonValue::Object(serde_json::Map::new())
    }
}
