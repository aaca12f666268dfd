//! An attribute of serde on a variant.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
enum Mode {
    #[serde(rename = "quick")]
    Fast,
}

fn main() {}
