//! The parentheses are missing.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config]
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
