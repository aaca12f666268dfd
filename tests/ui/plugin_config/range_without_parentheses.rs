//! The range is in parentheses.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(range = 1..=64)]
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
