//! The macros know the built-in plugin types by a table of their own, because they run before mlx-core is compiled.
//! It says what mlx-core says.
#![cfg(feature = "arrow")]

#[allow(dead_code)]
#[path = "../../mlx-macros/src/plugin_types.rs"]
mod plugin_types;

use mlx_core::{contracts::KINDS, plugin::PLANNED_TYPES};

#[test]
fn the_built_in_types_are_those_of_the_contracts() {
    let contracts: Vec<(&str, &str)> = KINDS.iter().map(|kind| (kind.name, kind.contract)).collect();
    assert_eq!(plugin_types::BUILT_IN, contracts);
}

#[test]
fn the_planned_types_are_the_same() {
    assert_eq!(plugin_types::PLANNED, PLANNED_TYPES);
}
