//! A number has no length.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(length(1..=64))]
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
