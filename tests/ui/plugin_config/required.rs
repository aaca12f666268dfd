//! A field without a default is required anyway.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(required)]
    mode: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
