//! A component of an enum.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(component = "data-sources/warehouse")]
enum Mode {
    Fast,
}

fn main() {}
