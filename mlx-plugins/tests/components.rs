//! Components that are put around a plugin of this crate say the same of it as the plugin does itself.
//! `--features remote` looks at all of them.

use mlx_core::{
    JsonValue,
    plugin::{Requirement, SwapKind},
    registry,
};
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
    let (mut compared, mut differences) = (0, Vec::new());
    for (component, file) in components() {
        let plugin = &file["plugin"];
        let Some(name) = plugin["shipped"]["name"].as_str() else { continue };
        let kind = plugin["type"].as_str().unwrap_or_default();
        // Its feature may be off.
        let Some(registration) = registry().get(kind, name) else { continue };
        compared += 1;
        let metadata = registration.metadata();
        let mut compare = |what: &str, said: Vec<&str>, is: Vec<String>| {
            if said != is {
                differences.push(format!("{component}: `{what}` is {said:?}, and of the plugin {is:?}"));
            }
        };
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        compare("capabilities", list(&plugin["capabilities"]), texts(metadata.capabilities));
        compare("data_formats", list(&plugin["data_formats"]), texts(metadata.data_formats));
        compare("requires", list(&plugin["requires"]), metadata.requires.iter().map(written).collect());
        compare("optional", list(&plugin["optional"]), metadata.optional.iter().map(written).collect());
        let swap = match metadata.swap {
            SwapKind::Overlap => "overlap",
            SwapKind::Handover => "handover",
            SwapKind::Restart => "restart",
        };
        compare("swap", vec![plugin["swap"].as_str().unwrap_or("overlap")], vec![swap.to_owned()]);
        for name in metadata.conflicts_with {
            if !list(&plugin["conflicts_with"]).contains(name) {
                differences.push(format!("{component}: the plugin conflicts with `{name}`"));
            }
        }
        let schema = registry().schema(kind, name).expect("it is registered").as_value();
        for (setting, declared) in file["config_schema"].as_object().into_iter().flatten() {
            let own = &schema["properties"][setting];
            if !own.is_object() {
                differences.push(format!("{component}: the plugin has no setting `{setting}`"));
            }
            for key in ["default", "minimum", "maximum"] {
                // A component may say more where the plugin leaves it open.
                if !declared[key].is_null() && !own[key].is_null() && declared[key] != own[key] {
                    let (said, is) = (&declared[key], &own[key]);
                    differences.push(format!("{component}: `{key}` of `{setting}` is {said}, and of the plugin {is}"));
                }
            }
        }
        for required in list(&schema["required"]) {
            if plugin["example"][required].is_null() {
                differences.push(format!("{component}: `example` has no `{required}`"));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(compared >= 7, "{compared} components were compared");
}
