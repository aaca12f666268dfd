//! Components that are put around a plugin of this crate say the same of it as the plugin does itself.
//! `--features remote` looks at all of them.

use mlx_core::{JsonValue, plugin::Requirement, registry};
use std::{fs, path::Path};

mlx_core::link!(mlx_plugins);

/// The component files of the catalogue, with their names.
fn components() -> Vec<(String, JsonValue)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlx-components");
    let folders = |path: &Path| -> Vec<_> {
        let entries = fs::read_dir(path).expect("the folder is there").map(|entry| entry.expect("it is read").path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let mut all = folders(&root);
    all.extend(folders(&root).iter().flat_map(|section| folders(section)));
    let files = all.iter().filter_map(|folder| fs::read_to_string(folder.join("component.json")).ok());
    let parsed = files.map(|text| serde_json::from_str::<JsonValue>(&text).expect("it is JSON"));
    parsed.map(|file| (file["name"].as_str().unwrap_or_default().to_owned(), file)).collect()
}

fn list(value: &JsonValue) -> Vec<&str> {
    value.as_array().map(|items| items.iter().filter_map(JsonValue::as_str).collect()).unwrap_or_default()
}

fn written(requirement: &Requirement) -> String {
    match requirement {
        Requirement::Plugin { name, version: "" } => (*name).to_owned(),
        Requirement::Plugin { name, version } => format!("{name}@{version}"),
        Requirement::Type(name) => format!("type:{name}"),
        Requirement::Capability(name) => format!("capability:{name}"),
    }
}

#[test]
fn a_component_says_of_a_shipped_plugin_what_the_plugin_says() {
    let mut compared = 0;
    for (component, file) in components() {
        let plugin = &file["plugin"];
        let Some(name) = plugin["shipped"]["name"].as_str() else { continue };
        let kind = plugin["type"].as_str().unwrap_or_default();
        // Its feature may be off.
        let Some(registration) = registry().get(kind, name) else { continue };
        let metadata = registration.metadata();
        assert_eq!(list(&plugin["capabilities"]), metadata.capabilities, "{component}");
        assert_eq!(list(&plugin["data_formats"]), metadata.data_formats, "{component}");
        let requires: Vec<String> = metadata.requires.iter().map(written).collect();
        assert_eq!(list(&plugin["requires"]), requires, "{component}");
        let optional: Vec<String> = metadata.optional.iter().map(written).collect();
        assert_eq!(list(&plugin["optional"]), optional, "{component}");
        for name in metadata.conflicts_with {
            assert!(list(&plugin["conflicts_with"]).contains(name), "{component}: {name}");
        }
        let schema = registry().schema(kind, name).expect("it is registered").as_value();
        for (setting, declared) in file["config_schema"].as_object().into_iter().flatten() {
            let own = &schema["properties"][setting];
            assert!(own.is_object(), "{component}: the plugin has no setting `{setting}`");
            for key in ["default", "minimum", "maximum"] {
                // A project may have a default, and a component be stricter, where the plugin leaves it open.
                if !declared[key].is_null() && !own[key].is_null() {
                    assert_eq!(declared[key], own[key], "{component}: `{key}` of `{setting}`");
                }
            }
        }
        for required in list(&schema["required"]) {
            let given = |place: &JsonValue| !place[required].is_null();
            assert!(given(&plugin["example"]), "{component}: `example` has no `{required}`");
        }
        compared += 1;
    }
    assert!(compared >= 7, "{compared} components were compared");
}
