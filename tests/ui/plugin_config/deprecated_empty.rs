//! An empty message tells the user nothing.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(deprecated = " ")]
    size: Option<u32>,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
