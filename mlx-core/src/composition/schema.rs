//! The JSON Schema of the compositions that this program can start.

use super::MAX_CONCURRENT_STARTS;
use crate::{
    registry::{Registration, Registry},
    resilience::Resilience,
};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a `${…}` reference looks like; it can stand for any scalar.
const REFERENCE: &str = r"\$\{";

/// A duration as the reader takes it, such as `1h30m`.
const DURATION: &str = "^([0-9]+(ns|us|ms|s|m|h|d))+$";

impl Registry {
    /// The JSON Schema (draft 2020-12) of a composition for exactly this program: the plugin types and names that are
    /// linked, and for each of them its settings. An editor that is given it offers names and settings, and marks
    /// what is wrong.
    ///
    /// What no schema can say is checked by [`resolve`](Registry::resolve) alone: conflicts, requirements, how many
    /// plugins of a type may run.
    pub fn composition_schema(&self) -> Schema {
        let mut generator = SchemaGenerator::default();
        let mut by_kind: BTreeMap<&str, Vec<&Registration>> = BTreeMap::new();
        for registration in self.iter() {
            by_kind.entry(registration.metadata().kind.name).or_default().push(registration);
        }
        let mut rules = Vec::new();
        for (kind, plugins) in &by_kind {
            let names: Vec<Value> =
                plugins.iter().map(|plugin| described(plugin.metadata().name, plugin.metadata().description)).collect();
            rules.push(json!({
                "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
                "then": {"properties": {"name": {"oneOf": names}}},
            }));
            for plugin in plugins {
                let mut settings = plugin.schema(&mut generator).to_value();
                let name = plugin.metadata().name;
                let mut then = json!({});
                if has_required(&settings, &generator) {
                    then["required"] = json!(["config"]);
                }
                allow_references(&mut settings);
                // Without settings, `config:` is null.
                then["properties"] = match then.get("required") {
                    Some(_) => json!({"config": settings}),
                    None => json!({"config": {"anyOf": [settings, {"type": "null"}]}}),
                };
                rules.push(json!({
                    "if": {"properties": {"type": {"const": kind}, "name": {"const": name}}, "required": ["type", "name"]},
                    "then": then,
                }));
            }
        }
        let resilience = generator.subschema_for::<Resilience>().to_value();
        let kinds: Vec<Value> =
            by_kind.keys().map(|kind| described(kind, self.kind(kind).map_or("", |kind| kind.description))).collect();
        let mut definitions = generator.take_definitions(true);
        for definition in definitions.values_mut() {
            allow_references(definition);
        }
        let variables = json!({
            "type": ["object", "null"],
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_.-]*$"},
            "additionalProperties": {"type": ["string", "number", "boolean"]},
            "description": "Texts that settings refer to as `${name}`.",
        });
        let named = json!([
            {"required": ["name"], "properties": {"name": {"type": "string"}}},
            {"required": ["id"], "properties": {"id": {"type": "string"}}},
        ]);
        let mut schema = json_schema!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Composition",
            "description": "Which plugins make up a platform, and how they are set up.",
            "type": "object",
            "properties": {
                "name": {"type": ["string", "null"], "description": "The platform's name."},
                "description": {"type": ["string", "null"], "description": "What the platform is for."},
                "extends": {
                    "type": ["string", "null"],
                    "description": "A file whose plugins and settings this one changes; relative to this one.",
                },
                "include": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Files whose plugins, conflicts, variables, components and profiles are added; relative to this one.",
                },
                "components": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "The components that the project was generated from.",
                },
                "variables": variables,
                "start_timeout": {
                    "type": ["string", "null"],
                    "pattern": DURATION,
                    "description": "How long the start of all plugins together may take; without it, as long as theirs do.",
                },
                "max_concurrent_starts": {
                    "type": ["integer", "null"],
                    "minimum": 1,
                    "maximum": u32::MAX,
                    "default": MAX_CONCURRENT_STARTS,
                    "description": "How many plugins start at the same time.",
                },
                "measure": {
                    "type": ["boolean", "null"],
                    "default": false,
                    "description": "Whether calls to plugins are measured, for those whose entry does not say.",
                },
                "plugins": {
                    "type": ["array", "null"],
                    "description": "The plugins of the platform.",
                    "items": {
                        "type": "object",
                        "required": ["type"],
                        "anyOf": named,
                        "additionalProperties": false,
                        "properties": change(json!({"oneOf": kinds, "description": "The plugin type."})),
                    },
                },
                "conflicts": {
                    "type": "array",
                    "items": {"type": "array", "items": {"type": "string"}},
                    "description": "Groups of names or capabilities of which at most one may be there.",
                },
                "precedence": {
                    "type": ["object", "null"],
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                    "description": "Who runs when plugins of a type, or with a capability, cannot run together: names or ids, the preferred first.",
                },
                "profiles": {
                    "type": "object",
                    "description": "Changes for one environment each.",
                    "additionalProperties": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "variables": variables,
                            "plugins": {"type": ["array", "null"], "items": {
                                "type": "object",
                                "anyOf": named,
                                "additionalProperties": false,
                                "properties": change(json!({
                                    "type": ["string", "null"],
                                    "description": "The plugin's type, where its id is ambiguous.",
                                })),
                            }},
                        },
                    },
                },
            },
            // What changes a plugin of the base need not be complete.
            "if": {"properties": {"extends": {"type": "null"}}},
            "then": {"properties": {"plugins": {"items": {
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "description": "The plugin's name."},
                    "resilience": {"anyOf": [resilience, {"type": "null"}]},
                },
                "allOf": rules,
            }}}},
            "additionalProperties": false,
        });
        schema.insert("$defs".to_owned(), definitions.into());
        schema
    }
}

/// The fields of an entry that may change another one.
fn change(kind: Value) -> Value {
    let timeout =
        |description: &str| json!({"type": ["string", "null"], "pattern": DURATION, "description": description});
    let pause = |default: &str, description: &str| json!({"type": "string", "pattern": DURATION, "default": default, "description": description});
    let flag = |default: bool, description: &str| json!({"type": ["boolean", "null"], "default": default, "description": description});
    json!({
        "type": kind,
        "name": {"type": ["string", "null"], "description": "The plugin's name, or the id of one that there is."},
        "id": {"type": ["string", "null"], "pattern": "\\S", "description": "What the plugin runs as; its name unless given."},
        "config": {"description": "The plugin's settings."},
        "enabled": flag(true, "Whether the plugin is part of the platform."),
        "default": flag(false, "Whether it is meant when only its type is asked for."),
        "on_failure": {
            "enum": ["abort", "continue", null],
            "default": "abort",
            "description": "What happens to the platform when the plugin does not start.",
        },
        "start_timeout": timeout("How long the start may take."),
        "stop_timeout": timeout("How long calls in flight, and then the plugin's stop, may take."),
        "retry": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "description": "Has the start tried again when the failure may pass: something is unavailable, or too slow.",
            "properties": {
                "max_attempts": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 100,
                    "default": 3,
                    "description": "Attempts in all, the first included.",
                },
                "initial_backoff": pause("200ms", "The pause after the first attempt; each one after it is twice as long."),
                "max_backoff": pause("5s", "The longest pause."),
            },
        },
        "resilience": {"type": ["object", "null"], "description": "What stands between callers and the plugin."},
        "measure": {"type": ["boolean", "null"], "description": "Whether calls to the plugin are measured."},
    })
}

/// A name that an editor can offer with its description.
fn described(name: &str, description: &str) -> Value {
    match description {
        "" => json!({"const": name}),
        text => json!({"const": name, "description": text}),
    }
}

/// Whether settings have to be given.
fn has_required(settings: &Value, generator: &SchemaGenerator) -> bool {
    let target = settings.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
    let settings = target.and_then(|name| generator.definitions().get(name)).unwrap_or(settings);
    settings.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty())
}

/// Lets every scalar of a schema be written as a reference as well.
fn allow_references(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    for (keyword, value) in object.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(children)) => children.values_mut().for_each(allow_references),
            (alternatives @ ("oneOf" | "anyOf" | "allOf" | "prefixItems"), Value::Array(children)) => {
                children.iter_mut().for_each(allow_references);
                // Variants without settings are texts.
                if matches!(alternatives, "oneOf" | "anyOf") && children.iter().any(|child| child["const"].is_string())
                {
                    children.push(json!({"type": "string", "pattern": REFERENCE}));
                }
            }
            ("items" | "additionalProperties", child) => allow_references(child),
            _ => {}
        }
    }
    // A tag that tells the variants of a mapping apart is written out.
    if is_restricted_scalar(object) && !object.contains_key("const") {
        let annotations = ["title", "description", "default", "deprecated", "writeOnly", "x-mlx-secret", "examples"];
        let mut outer = Map::new();
        for name in annotations {
            if let Some(value) = object.remove(name) {
                outer.insert(name.to_owned(), value);
            }
        }
        outer.insert("anyOf".to_owned(), json!([object, {"type": "string", "pattern": REFERENCE}]));
        *schema = Value::Object(outer);
    }
}

/// Whether a schema is of a number, a truth value, or of text that not every text fits.
fn is_restricted_scalar(schema: &Map<String, Value>) -> bool {
    let is = |kind: &Value| match kind.as_str() {
        Some("integer" | "number" | "boolean") => true,
        Some("string") => {
            ["enum", "pattern", "minLength", "maxLength", "format", "anyOf"].iter().any(|k| schema.contains_key(*k))
        }
        _ => false,
    };
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is),
        Some(kind) => is(kind),
        None => schema.contains_key("enum"),
    }
}
