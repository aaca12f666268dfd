//! A struct has no variants.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(tag = "kind")]
struct Config {
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
