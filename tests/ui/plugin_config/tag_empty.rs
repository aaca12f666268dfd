//! A tag without a name.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(tag = "")]
enum Mode {
    Fast,
}

fn main() {}
