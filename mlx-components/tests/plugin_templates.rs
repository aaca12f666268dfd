//! The templates of plugins keep step with the contracts of mlx-core.

use mlx_core::{contracts, plugin::KindInfo};
use std::{collections::BTreeSet, fs, path::PathBuf};

/// A file of the repository.
fn read(path: &str) -> Option<String> {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).ok()
}

/// The methods of a contract: the name, and whether the contract has a body for it.
fn methods(kind: &KindInfo) -> Vec<(String, bool)> {
    let source = read(&format!("mlx-core/src/contracts/{}.rs", kind.name)).expect("each contract has its file");
    let (_, rest) = source.split_once(&format!("pub trait {} {{\n", kind.contract)).expect("the trait is in its file");
    let body = rest.split("\n}\n").next().expect("the trait ends");
    let after = body.split("    async fn ").skip(1);
    after
        .map(|text| {
            let name = text.split('(').next().unwrap_or_default().to_owned();
            let end = text.find([';', '{']).expect("a method has an end");
            (name, text[end..].starts_with('{'))
        })
        .collect()
}

fn template(part: &str, kind: &KindInfo) -> String {
    let path = format!("mlx-components/plugin-registry/templates/{part}/{}.rs.template", kind.name);
    read(&path).unwrap_or_else(|| panic!("{path} is missing"))
}

#[test]
fn each_plugin_type_has_a_scaffold_that_names_every_method_to_be_written() {
    for kind in contracts::KINDS {
        let scaffold = template("scaffold", kind);
        let methods = methods(kind);
        assert!(methods.iter().any(|(_, has_body)| !has_body), "{}", kind.name);
        for (name, has_body) in methods {
            let (written, mentioned) = (format!("async fn {name}("), format!("`{name}`"));
            let unwritten = format!("Err(Error::not_implemented(NAME, \"{name}\"))");
            match has_body {
                false => {
                    assert!(scaffold.contains(&written), "{}: {name} is missing", kind.name);
                    assert!(scaffold.contains(&unwritten), "{}: {name} has a body", kind.name);
                    // Some calls take several lines.
                    let tested = scaffold.split_whitespace().collect::<String>();
                    let call = format!("unwritten(plugin.{name}(");
                    assert!(tested.contains(&call), "{}: {name} is untested", kind.name);
                }
                true => assert!(scaffold.contains(&mentioned), "{}: {name} is not mentioned", kind.name),
            }
        }
    }
}

#[test]
fn each_plugin_type_has_a_wrapper_that_passes_every_call_on() {
    for kind in contracts::KINDS {
        let wrapper = template("wrapper", kind);
        for (name, _) in methods(kind) {
            assert!(wrapper.contains(&format!("async fn {name}(")), "{}: {name} is missing", kind.name);
            let passed = format!("{}::{name}(&self.inner", kind.contract);
            assert!(wrapper.contains(&passed), "{}: {name} is not passed on", kind.name);
        }
    }
}

#[test]
fn the_plugin_registry_offers_all_plugin_types() {
    let file = read("mlx-components/plugin-registry/component.json").expect("the component is there");
    let (_, rest) = file.split_once("\"generates_plugin_types\": [").expect("it makes plugins");
    let list = rest.split(']').next().unwrap_or_default();
    let offered: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    assert_eq!(offered, contracts::KINDS.iter().map(|kind| kind.name).collect());
}
