//! JSON Schema (draft 2020-12) of configuration types, made from their [`Meta`].

use super::{Content, Field, Meta, Shape, Variant};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// The schema of a type that a derive describes.
pub fn of(meta: &'static Meta, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = match &meta.shape {
        Shape::Struct(fields) => object(fields, generator, None),
        Shape::Value(field) => property(field, field.default, generator),
        Shape::Map => json_schema!({"type": "object"}),
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
    let mut open = false;
    if let Some((tag, name)) = tag {
        properties.insert(tag.to_owned(), json!({"type": "string", "const": name}));
        required.push(Value::from(tag));
    }
    collect(fields, &mut Vec::new(), generator, &mut properties, &mut required, &mut open);
    let mut schema = json_schema!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    if !open {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    schema
}

fn collect(
    fields: &'static [Field],
    overrides: &mut Vec<&'static [super::DefaultOverride]>,
    generator: &mut SchemaGenerator,
    properties: &mut Map<String, Value>,
    required: &mut Vec<Value>,
    open: &mut bool,
) {
    for field in fields {
        match field.flatten {
            Some(Meta { shape: Shape::Struct(inherited), .. }) => {
                overrides.push(field.defaults);
                collect(inherited, overrides, generator, properties, required, open);
                overrides.pop();
            }
            Some(_) => *open = true,
            None => {
                let overridden = overrides.iter().flat_map(|level| level.iter()).find(|d| d.name == field.name);
                let default = overridden.map(|d| d.value).or(field.default);
                properties.insert(field.name.to_owned(), property(field, default, generator).to_value());
                if default.is_none() && !field.optional {
                    required.push(field.name.into());
                }
            }
        }
    }
}

fn property(field: &Field, default: Option<fn() -> Value>, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = (field.schema)(generator);
    if field.secret {
        schema = secret(schema);
    }
    describe(&mut schema, field.doc);
    let (min, max, exclusive) = field.range;
    let number = |n: f64| if n.fract() == 0.0 && n.abs() < 9e15 { json!(n as i64) } else { json!(n) };
    if let Some(min) = min {
        schema.insert("minimum".to_owned(), number(min));
    }
    if let Some(max) = max {
        schema.remove("maximum");
        schema.insert(if exclusive { "exclusiveMaximum" } else { "maximum" }.to_owned(), number(max));
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
    // The default of a secret would be in the open.
    if let (Some(default), false) = (default, field.secret) {
        schema.insert("default".to_owned(), default());
    }
    schema
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
