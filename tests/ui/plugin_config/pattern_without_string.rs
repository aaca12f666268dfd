//! A pattern is a string.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(pattern = 5)]
    mode: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
