//! The schema of a composition, against the resolver: what one accepts or rejects for its structure, the other does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::prelude::*;
use std::collections::BTreeMap;

/// How a sensor is read.
#[derive(PluginConfig)]
#[config(rename_all = "snake_case")]
enum Mode {
    /// Now and then.
    Polled {
        /// How often.
        every: Duration,
    },
    /// When something happens.
    Pushed,
}

/// Settings of a sensor.
#[derive(PluginConfig)]
#[allow(dead_code)]
struct SensorConfig {
    /// Where it is.
    host: String,
    #[config(default = 1, range(1..=5))]
    retries: u8,
    #[config(default)]
    labels: BTreeMap<String, String>,
    token: Option<Secret<String>>,
    mode: Option<Mode>,
}

/// A sensor.
#[mlx_plugin(type = "monitoring")]
struct Sensor;

#[async_trait]
impl Plugin for Sensor {
    type Config = SensorConfig;
    async fn initialize(_: SensorConfig, _: &InitContext) -> Result<Self> {
        Ok(Sensor)
    }
}

/// Nothing to set.
#[mlx_plugin(type = "monitoring")]
struct Silent;

#[async_trait]
impl Plugin for Silent {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Silent)
    }
}

macro_rules! monitoring {
    ($($name:ident),+) => { $(#[async_trait]
    impl Monitoring for $name {
        async fn record(&self, _: Vec<Measurement>) -> Result<()> {
            Ok(())
        }
        async fn export(&self) -> Result<String> {
            Ok(String::new())
        }
    })+ };
}

monitoring!(Sensor, Silent);

/// A composition of one entry.
fn one(entry: JsonValue) -> JsonValue {
    json!({ "plugins": [entry] })
}

fn sensor(config: JsonValue) -> JsonValue {
    one(json!({"type": "monitoring", "name": "sensor", "config": config}))
}

fn resolves(composition: &JsonValue) -> bool {
    let Ok(composition) = Composition::from_json(&composition.to_string()) else { return false };
    let variables = std::collections::HashMap::from([("RETRIES".to_owned(), "2".to_owned())]);
    registry().resolve(&composition.with_variables(variables)).is_ok()
}

#[test]
fn the_schema_and_the_resolver_agree_on_the_structure() {
    let schema = registry().composition_schema();
    let validator = jsonschema::draft202012::new(schema.as_value()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part.yaml");
    let text = "plugins: [{type: monitoring, name: sensor, id: main, config: {host: h}}]";
    std::fs::write(&part, text).unwrap();
    let part = part.to_str().unwrap();
    let good = [
        json!({}),
        json!({"name": "x", "description": null, "components": ["a"], "conflicts": [["a", "b"]]}),
        one(json!({"type": "monitoring", "name": "silent"})),
        one(json!({"type": "monitoring", "name": "silent", "config": null})),
        one(
            json!({"type": "monitoring", "name": "silent", "config": {}, "id": "s", "enabled": false, "default": true}),
        ),
        one(json!({"type": "monitoring", "name": "silent", "on_failure": "continue", "start_timeout": "1m30s"})),
        one(json!({"type": "monitoring", "name": "silent", "retry": {}, "measure": true})),
        one(json!({"type": "monitoring", "name": "silent", "retry": null, "measure": null})),
        one(
            json!({"type": "monitoring", "name": "silent", "retry": {"max_attempts": 100, "initial_backoff": "1ms", "max_backoff": "1m"}}),
        ),
        json!({"start_timeout": "5m", "max_concurrent_starts": 1, "measure": false}),
        json!({"start_timeout": null, "max_concurrent_starts": null, "measure": null}),
        sensor(json!({"host": "h"})),
        sensor(json!({"host": "${env:RETRIES}", "retries": "${env:RETRIES}"})),
        sensor(json!({"host": "h", "retries": 5, "labels": {"a": "b"}, "token": "t", "mode": "pushed"})),
        sensor(json!({"host": "h", "mode": {"polled": {"every": "5s"}}, "token": null})),
        json!({"plugins": [{"type": "monitoring", "name": "silent"}], "profiles": {"p": {"plugins": [{"name": "silent"}]}}}),
        json!({"profiles": {"p": {"variables": {"a": 1}, "plugins": [
            {"id": "silent", "default": true, "on_failure": "abort", "start_timeout": "1s", "stop_timeout": null},
            {"type": "monitoring", "name": "sensor", "config": {"host": "h"}},
        ]}}}),
        json!({"variables": {"host": "h", "n": 2, "yes": true}, "plugins": [
            {"type": "monitoring", "name": "sensor", "config": {"host": "${host}", "retries": "${n}"}},
        ]}),
        json!({"variables": null, "extends": null, "include": []}),
        json!({"include": [part], "plugins": [{"type": "monitoring", "name": "silent", "id": "s"}]}),
        json!({"extends": part, "plugins": [
            {"type": "monitoring", "id": "main", "config": {"retries": 3}},
            {"type": "monitoring", "name": "main", "enabled": false},
        ]}),
    ];
    let bad = [
        json!([]),
        json!({"plugin": []}),
        json!({"plugins": {}}),
        json!({"name": 5}),
        json!({"conflicts": ["a"]}),
        one(json!("sensor")),
        one(json!({"type": "monitoring"})),
        one(json!({"name": "silent"})),
        one(json!({"type": "monitorin", "name": "silent"})),
        one(json!({"type": "monitoring", "name": "silen"})),
        one(json!({"type": "monitoring", "name": "silent", "enabeld": true})),
        one(json!({"type": "monitoring", "name": "silent", "enabled": "yes"})),
        one(json!({"type": "monitoring", "name": "silent", "on_failure": "ignore"})),
        one(json!({"type": "monitoring", "name": "silent", "start_timeout": 5})),
        one(json!({"type": "monitoring", "name": "silent", "retry": 3})),
        one(json!({"type": "monitoring", "name": "silent", "retry": {"max_attempts": 0}})),
        one(json!({"type": "monitoring", "name": "silent", "retry": {"max_attempts": 101}})),
        one(json!({"type": "monitoring", "name": "silent", "retry": {"initial_backoff": 1}})),
        one(json!({"type": "monitoring", "name": "silent", "retry": {"attempts": 3}})),
        one(json!({"type": "monitoring", "name": "silent", "measure": "calls"})),
        json!({"start_timeout": 5}),
        json!({"max_concurrent_starts": 0}),
        json!({"max_concurrent_starts": 4_294_967_296_u64}),
        json!({"measure": 1}),
        one(json!({"type": "monitoring", "name": "silent", "config": {"a": 1}})),
        one(json!({"type": "monitoring", "name": "sensor"})),
        sensor(json!({})),
        sensor(json!({"host": 5})),
        sensor(json!({"host": "h", "retries": 6})),
        sensor(json!({"host": "h", "retries": "two"})),
        sensor(json!({"host": "h", "retires": 2})),
        sensor(json!({"host": "h", "labels": {"a": 1}})),
        sensor(json!({"host": "h", "token": 1})),
        sensor(json!({"host": "h", "mode": "polled"})),
        sensor(json!({"host": "h", "mode": {"polled": {"every": 5}}})),
        sensor(json!({"host": "h", "mode": "pulled"})),
        json!({"profiles": {"p": {"plugins": [{"config": {}}]}}}),
        json!({"profiles": {"p": {"plugins": [{"id": null}]}}}),
        json!({"profiles": {"p": {"plugins": [{"name": "a", "start_timeout": 5}]}}}),
        json!({"profiles": {"p": {"variable": {}}}}),
        json!({"profiles": {"p": {"variables": {"a": []}}}}),
        json!({"variables": {"2x": "a"}}),
        json!({"variables": {"a": null}}),
        json!({"variables": []}),
        json!({"include": part}),
        json!({"extends": [part]}),
        json!({"extends": part, "plugins": [{"id": "main"}]}),
        json!({"extends": part, "plugins": [{"type": "monitoring"}]}),
        json!({"plugins": [{"type": "monitoring", "id": "main"}]}),
    ];
    for document in &good {
        let errors: Vec<String> = validator.iter_errors(document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{document}: {errors:?}");
        assert!(resolves(document), "{document}");
    }
    for document in &bad {
        assert!(!validator.is_valid(document), "the schema accepts {document}");
        assert!(!resolves(document), "the resolver accepts {document}");
    }
}

#[test]
fn names_and_settings_are_described() {
    let schema = registry().composition_schema();
    let text = schema.as_value().to_string();
    for part in ["\"A sensor.\"", "\"Nothing to set.\"", "\"Where it is.\"", "\"How often.\"", "\"writeOnly\":true"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
