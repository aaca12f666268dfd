//! A list that would stand beside the tag.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(tag = "kind")]
enum Mode {
    All(Vec<u8>),
}

fn main() {}
