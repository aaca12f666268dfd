//! An attribute resembles none.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(colour = "red")]
    password: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
