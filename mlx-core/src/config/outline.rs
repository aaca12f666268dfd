//! Looking settings up in the schema of a configuration.

use schemars::Schema;
use serde_json::Value;

/// What a schema says of one place in a configuration: it may be one of several things.
#[derive(Clone)]
pub(crate) struct Outline<'s> {
    root: &'s Value,
    /// The schemas that may apply, references followed.
    options: Vec<&'s Value>,
}

/// Schemas that refer to each other end here.
const MAX_OPTIONS: usize = 256;

impl<'s> Outline<'s> {
    /// The outline of a whole document.
    pub(crate) fn of(document: &'s Schema) -> Self {
        Outline::new(document.as_value(), [document.as_value()])
    }

    fn new(root: &'s Value, schemas: impl IntoIterator<Item = &'s Value>) -> Self {
        let mut options: Vec<&Value> = schemas.into_iter().collect();
        let mut next = 0;
        while let Some(schema) = options.get(next).copied() {
            next += 1;
            let target = schema["$ref"].as_str().and_then(|path| root.pointer(path.strip_prefix('#')?));
            let alternatives =
                ["anyOf", "oneOf"].into_iter().filter_map(|keyword| schema[keyword].as_array()).flatten();
            for option in target.into_iter().chain(alternatives) {
                let known = options.iter().any(|known| std::ptr::eq(*known, option));
                if !known && options.len() < MAX_OPTIONS {
                    options.push(option);
                }
            }
        }
        Outline { root, options }
    }

    fn inner(&self, find: impl Fn(&'s Value) -> Option<&'s Value>) -> Option<Self> {
        let mut found = self.options.iter().filter_map(|schema| find(schema)).peekable();
        found.peek()?;
        Some(Outline::new(self.root, found))
    }

    /// The setting `name` of a mapping.
    pub(crate) fn property(&self, name: &str) -> Option<Self> {
        self.inner(|schema| schema["properties"].get(name))
    }

    /// Any setting of a mapping that has no names of its own.
    pub(crate) fn others(&self) -> Option<Self> {
        self.inner(|schema| schema.get("additionalProperties").filter(|others| **others != Value::Bool(false)))
    }

    /// Any element of a list.
    pub(crate) fn items(&self) -> Option<Self> {
        self.inner(|schema| schema.get("items"))
    }

    /// The names of the settings of a mapping, with their other names.
    pub(crate) fn properties(&self) -> Vec<&'s str> {
        let mut names: Vec<&str> = self
            .options
            .iter()
            .filter_map(|schema| schema["properties"].as_object())
            .flat_map(|properties| properties.keys().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether it may be of several kinds of mapping.
    pub(crate) fn has_variants(&self) -> bool {
        self.options.iter().filter(|schema| schema["properties"].is_object()).count() > 1
    }

    /// Whether it may be of a JSON type.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.options.iter().any(|schema| match &schema["type"] {
            Value::String(only) => only == kind,
            Value::Array(kinds) => kinds.iter().any(|one| one == kind),
            _ => false,
        })
    }

    /// Whether it may be anything.
    pub(crate) fn is_anything(&self) -> bool {
        const CONSTRAINTS: [&str; 7] = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
        self.options.iter().any(|schema| CONSTRAINTS.iter().all(|keyword| schema.get(keyword).is_none()))
    }

    fn keyword(&self, name: &str) -> Option<&'s Value> {
        self.options.iter().find_map(|schema| schema.get(name))
    }

    fn text(&self, name: &str) -> Option<&'s str> {
        self.keyword(name)?.as_str()
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.keyword("x-mlx-secret").is_some()
    }

    pub(crate) fn default(&self) -> Option<&'s Value> {
        self.keyword("default")
    }

    /// The environment variable that stands in when the setting is absent.
    pub(crate) fn env(&self) -> Option<&'s str> {
        self.text("x-mlx-env")
    }

    /// The setting that this one is another name of.
    pub(crate) fn alias_of(&self) -> Option<&'s str> {
        self.text("x-mlx-alias-of")
    }

    /// Where the component declares the setting and its default.
    pub(crate) fn component(&self) -> Option<&'s str> {
        self.text("x-mlx-component")
    }
}
