//! JSON Schema (draft 2020-12) of configuration types, made from their [`Meta`].

use super::{Choice, Content, Field, Meta, Shape, Variant};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// The schema of a type that a derive describes.
pub fn of(meta: &'static Meta, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = match &meta.shape {
        Shape::Struct(fields) => object(fields, generator, None),
        Shape::Value(field) => property(field, field.default, generator),
        Shape::Map(values) => {
            let values = values(generator);
            json_schema!({"type": "object", "additionalProperties": values})
        }
        Shape::Enum { tag, variants } => {
            if tag.is_none() && variants.iter().all(|v| matches!(v.content, Content::Unit) && v.doc.is_empty()) {
                let names: Vec<&str> = variants.iter().map(|variant| variant.name).collect();
                json_schema!({"type": "string", "enum": names})
            } else {
                let options: Vec<Schema> = variants.iter().map(|v| variant(v, *tag, generator)).collect();
                json_schema!({"oneOf": options})
            }
        }
    };
    schema.insert("title".to_owned(), meta.name.into());
    describe(&mut schema, meta.doc);
    schema
}

fn describe(schema: &mut Schema, doc: &str) {
    if !doc.is_empty() {
        schema.insert("description".to_owned(), doc.into());
    }
}

fn variant(variant: &Variant, tag: Option<&str>, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = match (tag, &variant.content) {
        (Some(tag), content) => {
            let fields: &[Field] = if let Content::Fields(fields) = content { fields } else { &[] };
            object(fields, generator, Some((tag, variant.name)))
        }
        (None, Content::Unit) => json_schema!({"type": "string", "const": variant.name}),
        (None, content) => {
            let content = match content {
                Content::Value(schema) => schema(generator),
                Content::Fields(fields) => object(fields, generator, None),
                Content::Unit => anything(generator),
            };
            json_schema!({
                "type": "object",
                "properties": {variant.name: content},
                "required": [variant.name],
                "additionalProperties": false,
            })
        }
    };
    describe(&mut schema, variant.doc);
    schema
}

/// The schema that admits every value.
pub fn anything(_: &mut SchemaGenerator) -> Schema {
    true.into()
}

fn object(fields: &'static [Field], generator: &mut SchemaGenerator, tag: Option<(&str, &str)>) -> Schema {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if let Some((tag, name)) = tag {
        properties.insert(tag.to_owned(), json!({"type": "string", "const": name}));
        required.push(Value::from(tag));
    }
    let mut object = Object { properties, required, ..Object::default() };
    object.collect(fields, &mut Vec::new(), generator);
    let mut schema = json_schema!({"type": "object", "properties": object.properties});
    if !object.required.is_empty() {
        schema.insert("required".to_owned(), object.required.into());
    }
    if !object.names.is_empty() {
        schema.insert("allOf".to_owned(), object.names.into());
    }
    schema.insert("additionalProperties".to_owned(), object.others.unwrap_or(Value::Bool(false)));
    schema
}

/// The schema of a mapping, in parts.
#[derive(Default)]
struct Object {
    properties: Map<String, Value>,
    required: Vec<Value>,
    /// That a field with several names is given under one of them.
    names: Vec<Value>,
    /// The schema of other settings, if there may be any.
    others: Option<Value>,
}

impl Object {
    fn collect(
        &mut self,
        fields: &'static [Field],
        overrides: &mut Vec<&'static [super::DefaultOverride]>,
        generator: &mut SchemaGenerator,
    ) {
        for field in fields {
            match field.flatten {
                Some(Meta { shape: Shape::Struct(inherited), .. }) => {
                    overrides.push(field.defaults);
                    self.collect(inherited, overrides, generator);
                    overrides.pop();
                }
                Some(Meta { shape: Shape::Map(values), .. }) => self.others = Some(values(generator).to_value()),
                Some(_) => {}
                None => {
                    let overridden = overrides.iter().flat_map(|level| level.iter()).find(|d| d.name == field.name);
                    self.field(field, overridden.map(|d| d.value), generator);
                }
            }
        }
    }

    fn field(&mut self, field: &'static Field, overridden: Option<fn() -> Value>, generator: &mut SchemaGenerator) {
        let default = overridden.or(field.default);
        let mut schema = property(field, default, generator);
        if !field.source.is_empty() && overridden.is_none() {
            schema.insert("x-mlx-component".to_owned(), field.source.into());
        }
        let schema = schema.to_value();
        // The environment may have what the file lacks.
        let required = default.is_none() && !field.optional && field.more.env.is_empty();
        let aliases = field.more.aliases;
        for alias in aliases {
            let mut schema = schema.clone();
            schema["x-mlx-alias-of"] = field.name.into();
            self.properties.insert((*alias).to_owned(), schema);
        }
        self.properties.insert(field.name.to_owned(), schema);
        if aliases.is_empty() {
            if required {
                self.required.push(field.name.into());
            }
            return;
        }
        let names = std::iter::once(&field.name).chain(aliases);
        let given: Vec<Value> = names.map(|name| json!({"required": [name]})).collect();
        self.names.push(match required {
            true => json!({"oneOf": given}),
            false => {
                let none = json!({"not": {"anyOf": given.clone()}});
                json!({"oneOf": given.into_iter().chain([none]).collect::<Vec<_>>()})
            }
        });
    }
}

fn property(field: &Field, default: Option<fn() -> Value>, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = (field.schema)(generator);
    if field.secret {
        schema = secret(schema);
    }
    match field.doc.split_once("\n\n") {
        // Of several paragraphs the first is a title.
        Some((title, rest)) => {
            schema.insert("title".to_owned(), title.replace('\n', " ").trim_end_matches('.').into());
            describe(&mut schema, rest.trim_start());
        }
        None => describe(&mut schema, field.doc),
    }
    let more = field.more;
    let (min, max, exclusive) =
        field.limits.map_or_else(|| field.range.copied().unwrap_or_default(), |limits| limits());
    if let Some(min) = min {
        schema.insert("minimum".to_owned(), min.to_json());
    }
    if let Some(max) = max {
        schema.remove("maximum");
        schema.insert(if exclusive { "exclusiveMaximum" } else { "maximum" }.to_owned(), max.to_json());
    }
    let plural = match schema.get("type").and_then(|t| t.as_str().or_else(|| t.get(0)?.as_str())) {
        Some("array") => "Items",
        Some("object") => "Properties",
        _ => "Length",
    };
    if let Some(min) = field.length.0 {
        schema.insert(format!("min{plural}"), min.into());
    }
    if let Some(max) = field.length.1 {
        schema.insert(format!("max{plural}"), max.into());
    }
    if !field.pattern.is_empty() {
        schema.insert("pattern".to_owned(), field.pattern.into());
    }
    if !more.one_of.is_empty() {
        let nothing = schema.get("type").and_then(Value::as_array).map(|_| Value::Null);
        schema.insert("enum".to_owned(), more.one_of.iter().map(|choice| choice.to_json()).chain(nothing).collect());
    }
    if !more.deprecated.is_empty() {
        schema.insert("deprecated".to_owned(), true.into());
        schema.insert("x-mlx-deprecated".to_owned(), more.deprecated.into());
    }
    if !more.env.is_empty() {
        schema.insert("x-mlx-env".to_owned(), more.env.into());
    }
    if !more.examples.is_empty() {
        schema.insert("examples".to_owned(), more.examples.iter().map(|example| example()).collect());
    }
    // The default of a secret would be in the open.
    if let (Some(default), false) = (default, field.secret) {
        schema.insert("default".to_owned(), default());
    }
    schema
}

impl Choice {
    fn to_json(self) -> Value {
        match self {
            Choice::Text(text) => text.into(),
            Choice::Integer(number) => match i64::try_from(number) {
                Ok(number) => number.into(),
                Err(_) => u64::try_from(number).map_or(Value::Null, Value::from),
            },
            Choice::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => (number as i64).into(),
            Choice::Float(number) => number.into(),
        }
    }
}

/// Marks a schema as that of a secret.
pub fn secret(mut schema: Schema) -> Schema {
    schema.insert("writeOnly".to_owned(), true.into());
    schema.insert("x-mlx-secret".to_owned(), true.into());
    schema
}

/// Lets a schema accept null as well.
pub fn nullable(mut schema: Schema) -> Schema {
    let Some(kind) = schema.get_mut("type") else {
        return match schema.as_bool() {
            Some(_) => schema,
            None => json_schema!({"anyOf": [schema, {"type": "null"}]}),
        };
    };
    match kind {
        Value::String(name) => *kind = json!([name, "null"]),
        Value::Array(kinds) if !kinds.contains(&json!("null")) => kinds.push(json!("null")),
        _ => {}
    }
    if let Some(Value::Array(options)) = schema.get_mut("enum") {
        options.push(Value::Null);
    }
    schema
}
