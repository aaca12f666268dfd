//! A length is not negative.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(length(-1..))]
    name: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
