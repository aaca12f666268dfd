//! A range has an end.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(range(..))]
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
