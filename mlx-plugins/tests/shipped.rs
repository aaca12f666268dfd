//! mlx-core says of every plugin of this crate which feature has it.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{Composition, diagnostics::Code, registry::SHIPPED};

#[test]
fn mlx_core_knows_every_plugin_of_the_features() {
    let manifest = include_str!("../Cargo.toml");
    let features = manifest.split_once("[features]").unwrap().1.split_once("\n[").unwrap().0;
    let mut names: Vec<&str> = features
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .map(|line| line.split_once(" = ").unwrap().0)
        .filter(|name| !["default", "embedded", "remote"].contains(name))
        .collect();
    names.sort_unstable();
    assert_eq!(SHIPPED, names);
}

// Nothing names `mlx_plugins` here, so that none of its plugins is linked.
#[test]
fn a_plugin_that_is_not_linked_is_said_to_be_in_this_crate() {
    let composition =
        Composition::from_yaml("plugins: [{type: model_server, name: local}, {type: security, name: api-keys}]")
            .unwrap();
    let error = mlx_core::registry().resolve(&composition).unwrap_err();
    let found: Vec<_> = error.diagnostics().iter().filter(|found| found.code == Code::UnknownPlugin).collect();
    assert_eq!(found.len(), 2, "{error}");
    for (found, feature) in found.iter().zip(["model-server-local", "security-api-keys"]) {
        let help = found.help.last().unwrap();
        assert!(help.contains(&format!("`{feature}`")) && help.contains("link!(mlx_plugins)"), "{help}");
    }
}
