//! An empty pattern matches everything.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(pattern = "")]
    mode: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
