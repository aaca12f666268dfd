//! An attribute is misspelt.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(secrt)]
    password: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
