//! Limits are numbers.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(range("a".."z"))]
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
