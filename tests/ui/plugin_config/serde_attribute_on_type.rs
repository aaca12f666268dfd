//! An attribute of serde on the type.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[serde(deny_unknown_fields)]
struct Config {
    size: u32,
}

fn main() {}
