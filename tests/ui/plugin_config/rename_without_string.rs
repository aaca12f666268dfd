//! A name is a string.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(rename = size)]
    pool: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
