//! Values for the `?` of a statement.

use mlx_core::prelude::*;

/// A value, or a column of them, with the type that Snowflake reads it as.
pub(super) struct Parameter {
    kind: &'static str,
    values: Values,
}

enum Values {
    One(Option<String>),
    /// One for each row.
    Column(Vec<Option<String>>),
}

/// The values of a statement, in order.
#[derive(Default)]
pub(super) struct Parameters(Vec<Parameter>);

impl Parameters {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one value as text; the place where it stands makes of it what it needs.
    pub(super) fn push(&mut self, kind: &'static str, value: Option<String>) {
        self.0.push(Parameter { kind, values: Values::One(value) });
    }

    /// Adds a column, for a statement that is executed once a row.
    pub(super) fn push_column(&mut self, kind: &'static str, values: Vec<Option<String>>) {
        self.0.push(Parameter { kind, values: Values::Column(values) });
    }

    /// As both protocols have them: by number, from 1.
    pub(super) fn bindings(&self) -> JsonValue {
        let bindings = self.0.iter().enumerate().map(|(index, parameter)| {
            let value = match &parameter.values {
                Values::One(value) => json!(value),
                Values::Column(values) => json!(values),
            };
            ((index + 1).to_string(), json!({"type": parameter.kind, "value": value}))
        });
        JsonValue::Object(bindings.collect())
    }
}

/// Arrays and objects become their JSON text, for `parse_json(?)`.
impl From<Vec<JsonValue>> for Parameters {
    fn from(values: Vec<JsonValue>) -> Self {
        let mut parameters = Parameters::default();
        for value in values {
            match value {
                JsonValue::Null => parameters.push("TEXT", None),
                JsonValue::Bool(value) => parameters.push("BOOLEAN", Some(value.to_string())),
                JsonValue::Number(number) if number.is_f64() => parameters.push("REAL", Some(number.to_string())),
                JsonValue::Number(number) => parameters.push("FIXED", Some(number.to_string())),
                JsonValue::String(text) => parameters.push("TEXT", Some(text)),
                structure => parameters.push("TEXT", Some(structure.to_string())),
            }
        }
        parameters
    }
}
