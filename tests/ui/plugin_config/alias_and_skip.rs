//! What is not in the file has no other name there.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(skip, alias = "x")]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
