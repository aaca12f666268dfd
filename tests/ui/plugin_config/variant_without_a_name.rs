//! A variant that a file cannot name.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
enum Mode {
    #[config(rename = "")]
    Fast,
}

fn main() {}
