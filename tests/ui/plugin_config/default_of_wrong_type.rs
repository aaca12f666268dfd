//! The default is of another type.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(default = 5)]
    name: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
