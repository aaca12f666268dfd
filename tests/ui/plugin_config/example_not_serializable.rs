//! An example is what a file could say.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(example = std::sync::Once::new())]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
