//! The catalogue of this crate as a whole: it is accepted, and `registry.json` records it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_components::catalogue::{Catalogue, Sample, schemas};
use mlx_core::{JsonValue, json};
use std::{collections::BTreeMap, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `MLX_WRITE_REGISTRY=1 cargo test -p mlx-components --features catalogue --test registry` writes it anew.
#[test]
fn registry_json_records_the_catalogue() {
    if std::env::var_os("MLX_WRITE_REGISTRY").is_some() {
        let registry = Catalogue::embedded().unwrap().registry();
        let path = root().join("registry.json");
        if fs::read_to_string(&path).ok().as_deref() != Some(&registry) {
            fs::write(path, registry).unwrap();
        }
    }
    let opened = Catalogue::open(root()).unwrap_or_else(|error| {
        panic!("{error:?}\nto record what is there: MLX_WRITE_REGISTRY=1 cargo test -p mlx-components --features catalogue --test registry")
    });
    assert_eq!(fs::read_to_string(root().join("registry.json")).unwrap(), opened.registry());
}

#[test]
fn what_is_embedded_is_what_is_there() {
    let opened = Catalogue::open_unrecorded(root()).unwrap();
    let embedded = Catalogue::embedded().unwrap();
    assert_eq!(embedded.registry(), opened.registry());
    for component in opened.components() {
        for alias in &component.aliases {
            assert_eq!(embedded.find(alias).unwrap().name, component.name);
        }
    }
}

/// `MLX_WRITE_SAMPLES=1` records what each `samples/NAME.json` renders below `samples/NAME`.
#[test]
fn an_author_has_nothing_to_mend() {
    let catalogue = Catalogue::open_unrecorded(root()).unwrap();
    if std::env::var_os("MLX_WRITE_SAMPLES").is_some() {
        catalogue.record_samples(root()).unwrap();
    }
    let found = Catalogue::open_unrecorded(root()).unwrap().check();
    let errors: Vec<_> = found.iter().filter(|found| found.is_error()).map(ToString::to_string).collect();
    let record =
        "to record samples: MLX_WRITE_SAMPLES=1 cargo test -p mlx-components --features catalogue --test registry";
    assert!(errors.is_empty(), "{errors:#?}\n{record}");
    for warning in found {
        eprintln!("{warning}");
    }
}

/// Everything that a component can render, for a project of this name.
fn rendered(project: &str) -> BTreeMap<String, String> {
    let catalogue = Catalogue::embedded().unwrap();
    let names: Vec<String> = catalogue.components().map(|component| component.name.clone()).collect();
    let mut files = BTreeMap::new();
    for component in catalogue.components() {
        let kinds: Vec<Option<String>> = match &component.plugin {
            Some(plugin) if plugin.kind.is_none() => {
                component.generates_plugin_types.iter().map(|kind| Some(kind.to_string())).collect()
            }
            _ => vec![None],
        };
        for plugin_type in kinds {
            let kind = plugin_type.clone().unwrap_or_default();
            for components in [Vec::new(), names.clone()] {
                let required = component.variables.iter().filter(|(_, variable)| variable.required);
                let answers = required.map(|(name, _)| (name.to_owned(), "sample".into())).collect();
                let project = Some(project.to_owned());
                let plugin_type = plugin_type.clone();
                let sample = Sample { answers, components, project, plugin_type, ..Sample::default() };
                let all = if sample.components.is_empty() { "alone" } else { "all" };
                let made = catalogue
                    .render_sample(component, &sample)
                    .unwrap_or_else(|error| panic!("{} {kind}: {error:?}", component.name));
                files.extend(
                    made.into_iter().map(|(path, text)| (format!("{}|{kind}|{all}|{path}", component.name), text)),
                );
            }
        }
    }
    files
}

#[test]
fn every_component_renders_and_twice_the_same() {
    let first = rendered("sample-platform");
    assert!(first.len() > 100, "{}", first.len());
    assert_eq!(first, rendered("sample-platform"));
    for (path, text) in &first {
        assert!(!text.contains("{{") && !text.contains("{%"), "{path}");
        assert!(!text.contains('\r') && (text.ends_with('\n') || text.is_empty()), "{path}");
    }
}

/// Whatever the names, the Rust code is as rustfmt writes it.
#[test]
#[ignore = "starts rustfmt, which an update of the toolchain changes: run it when a template changes"]
fn rust_code_is_formatted() {
    let folder = tempfile::tempdir().unwrap();
    for project in ["a", "a-platform-with-quite-a-long-name-for-a-project-of-its-kind"] {
        let files: Vec<_> = rendered(project)
            .into_iter()
            .filter(|(path, _)| path.ends_with(".rs") && !path.contains("|edits/"))
            .map(|(path, text)| {
                let file = folder.path().join(path.replace(['/', '|'], "+"));
                fs::write(&file, text).unwrap();
                file
            })
            .collect();
        let output = std::process::Command::new("rustfmt")
            .args(["--check", "--edition", "2024", "--config", "skip_children=true"])
            .args(&files)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// `MLX_WRITE_SCHEMAS=1` writes `schemas/*.schema.json` anew.
#[test]
fn the_published_schemas_are_those_of_the_types() {
    for (name, schema) in schemas() {
        let path = root().join(format!("schemas/{name}.schema.json"));
        let text = format!("{schema:#}\n");
        if std::env::var_os("MLX_WRITE_SCHEMAS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap_or_default(),
            text,
            "{name}: run the test with MLX_WRITE_SCHEMAS=1"
        );
        jsonschema::meta::validate(&schema).unwrap();
    }
}

#[test]
fn the_files_of_the_catalogue_are_valid_by_their_schemas() {
    let [(_, component), (_, registry), (_, samples)] = schemas();
    let valid = |schema: &JsonValue, text: &str, path: &str| {
        let validator = jsonschema::draft202012::new(schema).unwrap();
        let file: JsonValue = text.parse().unwrap();
        let errors: Vec<_> =
            validator.iter_errors(&file).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{path}: {errors:#?}");
    };
    valid(&registry, &fs::read_to_string(root().join("registry.json")).unwrap(), "registry.json");
    for part in Catalogue::open_unrecorded(root()).unwrap().components() {
        for (path, source) in part.files() {
            match path {
                "component.json" => valid(&component, source.text(), &part.name),
                path if path.starts_with("samples/") && path.ends_with(".json") && path.matches('/').count() == 1 => {
                    valid(&samples, source.text(), path);
                }
                _ => {}
            }
        }
    }
    let validator = jsonschema::draft202012::new(&component).unwrap();
    for broken in [
        json!({"name": "a", "version": "1.0.0", "description": "x"}),
        json!({"name": "A", "version": "1.0.0", "description": "x", "type": "service"}),
        json!({"name": "a", "version": "1.0.0", "description": "x", "type": "service", "template": []}),
    ] {
        assert!(!validator.is_valid(&broken), "{broken}");
    }
}

/// Each component with settings has a type, as `config_type` names it.
#[test]
fn settings_are_types() {
    use mlx_core::config::schema_of;
    let catalogue = Catalogue::embedded().unwrap();
    let path = |name: &str| catalogue.find(name).unwrap().config_type().unwrap();
    assert_eq!(path("data-sources/snowflake"), "mlx_components::data_sources::Snowflake");
    assert_eq!(path("api-serving"), "mlx_components::services::ApiServing");
    assert_eq!(path("llm-providers/openai"), "mlx_components::llm_providers::Openai");
    let types = [
        ("data-sources/snowflake", schema_of::<mlx_components::data_sources::Snowflake>()),
        ("api-serving", schema_of::<mlx_components::services::ApiServing>()),
        ("ml-platforms/databricks", schema_of::<mlx_components::ml_platforms::Databricks>()),
    ];
    for (name, schema) in types {
        let declared: Vec<_> = catalogue.find(name).unwrap().config_schema.names().map(str::to_owned).collect();
        let mut fields: Vec<_> = schema.get("properties").unwrap().as_object().unwrap().keys().cloned().collect();
        let mut expected = declared;
        expected.sort();
        fields.sort();
        assert_eq!(fields, expected, "{name}");
    }
    // `config_type` and the module that the build makes agree for all of them.
    let made = include_str!(concat!(env!("OUT_DIR"), "/settings.rs"));
    for component in catalogue.components() {
        let has = made.contains(&format!("{:?}", format!("{}/component.json", component.name)));
        assert_eq!(component.config_type().is_some(), has, "{}", component.name);
    }
}

/// A generator of numbers (xorshift, Marsaglia 2003), so that each run makes the same mistakes.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

#[test]
fn no_damage_to_a_component_panics() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("api-serving");
    fs::create_dir_all(part.join("templates")).unwrap();
    let component = Catalogue::embedded().unwrap().find("api-serving").unwrap();
    for (path, source) in component.files() {
        fs::write(part.join(path), source.text()).unwrap();
    }
    let pieces = [
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "-1",
        "1e999",
        "\"..\"",
        "{{",
        "%}",
        "\u{0}",
        "é",
        "\\u0000",
        "true",
        "18446744073709551616",
    ];
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..600 {
        let path = if round % 3 == 0 { "templates/routes.rs.template" } else { "component.json" };
        let original = component.file(path).unwrap().text();
        let mut text = original.to_owned();
        for _ in 0..=numbers.below(3) {
            let mut at = numbers.below(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            match numbers.below(3) {
                0 => text.insert_str(at, pieces[numbers.below(pieces.len())]),
                1 => text.truncate(at),
                _ => {
                    let mut end = (at + numbers.below(40)).min(text.len());
                    while !text.is_char_boundary(end) {
                        end += 1;
                    }
                    text.replace_range(at..end, pieces[numbers.below(pieces.len())]);
                }
            }
        }
        fs::write(part.join(path), text).unwrap();
        match Catalogue::open(folder.path()) {
            Ok(catalogue) => {
                accepted += 1;
                catalogue.check();
            }
            Err(error) => {
                refused += 1;
                assert!(!error.diagnostics().is_empty());
                let _ = format!("{error:?}");
            }
        }
        fs::write(part.join(path), original).unwrap();
    }
    assert!(accepted > 10 && refused > 100, "{accepted} {refused}");
}
