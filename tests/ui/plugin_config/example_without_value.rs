//! An example is a value.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(example)]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
