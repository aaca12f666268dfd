//! The user has to be told what to write instead.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(deprecated)]
    size: Option<u32>,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
