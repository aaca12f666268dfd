//! A file could not say the default.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(default = 100, range(1..=64))]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
