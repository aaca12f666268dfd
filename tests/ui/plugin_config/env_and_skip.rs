//! What is not read has no variable.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(skip, env = "SIZE")]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
