//! A map takes every field that is left.

use mlx_core::PluginConfig;

use std::collections::BTreeMap;

#[derive(PluginConfig)]
struct Base {
    size: u8,
}

#[derive(PluginConfig)]
struct Config {
    #[config(flatten)]
    rest: BTreeMap<String, u8>,
    #[config(flatten)]
    base: Base,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
