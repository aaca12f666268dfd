//! A file could not say the default: it is too short.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(default = "", non_empty)]
    mode: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
