//! Reading five settings that are parsed already: our reader, serde, and JSON Schema validation before serde.

mod measure;

use measure::{Case, at_least, at_most, least};
use mlx_core::{
    JsonValue, PluginConfig, Secret,
    config::{ConfigValue, Reader, Resolved, schema_of},
    json,
    value::{Node, System},
};
use serde::Deserialize;
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// The settings, as a plugin declares them.
#[derive(PluginConfig)]
struct Settings {
    /// Where it sends to.
    host: String,
    /// What it shows to be let in.
    token: Secret,
    /// Connections kept open.
    #[config(default = 5)]
    pool: u32,
    /// The zone, where there are several.
    zone: Option<String>,
    /// What every measurement is marked with.
    tags: Vec<String>,
}

/// The same by serde.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only read into")]
struct ByHand {
    host: String,
    token: String,
    #[serde(default = "five")]
    pool: u32,
    zone: Option<String>,
    tags: Vec<String>,
}

fn five() -> u32 {
    5
}

fn main() {
    let json = json!({
        "host": "warehouse.example.org",
        "token": "a-token-of-some-length",
        "pool": 12,
        "zone": "eu-west-1",
        "tags": ["production", "billing"],
    });
    let node = Node::from(json.clone());
    let schema = schema_of::<Settings>();
    let validator = jsonschema::validator_for(schema.as_value()).expect("the schema is one");
    assert!(validator.is_valid(&json));
    let resolved = Resolved::new();
    let read = |node: &Node, mut cx: Reader<'_>| -> Settings {
        let settings = Settings::read(node, &mut cx);
        cx.finish(settings).expect("the settings are right")
    };
    let serde = |json: &JsonValue| ByHand::deserialize(json).expect("the settings are right");

    let times = least(
        "Reading 5 settings, from a reference to the parsed value",
        20_000,
        100,
        vec![
            Case::new("reader", || drop(black_box(read(black_box(&node), Reader::literal())))),
            Case::new("reader-looking-for-references", || {
                drop(black_box(read(black_box(&node), Reader::start(&System, &resolved))));
            }),
            Case::new("serde", || drop(black_box(serde(black_box(&json))))),
            Case::new("validation-then-serde", || {
                assert!(validator.validate(black_box(&json)).is_ok());
                drop(black_box(serde(black_box(&json))));
            }),
        ],
    );
    at_most("reader / serde", times[0] / times[2], 1.5);
    at_most("reader that looks for `${…}` / serde", times[1] / times[2], 1.5);
    at_least("validation then serde / reader", times[3] / times[0], 5.0);
    at_least("validation then serde / reader that looks for `${…}`", times[3] / times[1], 5.0);

    // `from_value` consumes its argument, so it is given clones that were made before.
    let times = least(
        "Reading 5 settings, from a reference, beside serde_json::from_value, which consumes the value",
        20_000,
        100,
        vec![
            Case::new("reader", || drop(black_box(read(black_box(&node), Reader::literal())))),
            Case::timed("from_value", |iterations| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..iterations / 100 {
                    let clones = vec![json.clone(); 100];
                    let began = Instant::now();
                    for json in clones {
                        drop(black_box(serde_json::from_value::<ByHand>(black_box(json)).expect("right")));
                    }
                    elapsed += began.elapsed();
                }
                elapsed
            }),
            Case::new("clone-reader", || {
                drop(black_box(read(&black_box(&node).clone(), Reader::literal())));
            }),
            Case::new("clone-from_value", || {
                drop(black_box(serde_json::from_value::<ByHand>(black_box(&json).clone()).expect("right")));
            }),
        ],
    );
    at_most("reader / serde_json::from_value, without clones", times[0] / times[1], 1.5);
    at_most("reader / serde_json::from_value, a clone on both sides", times[2] / times[3], 1.5);

    let times = least(
        "Reading 5 settings once: the validator has to be built for it",
        200,
        20,
        vec![
            Case::new("reader", || drop(black_box(read(black_box(&node), Reader::literal())))),
            Case::new("build-validation-then-serde", || {
                let validator = jsonschema::validator_for(black_box(schema.as_value())).expect("the schema is one");
                assert!(validator.validate(black_box(&json)).is_ok());
                drop(black_box(serde(black_box(&json))));
            }),
        ],
    );
    at_least("validator built, validation, serde / reader", times[1] / times[0], 5.0);
}
