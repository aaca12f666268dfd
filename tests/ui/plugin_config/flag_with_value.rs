//! A flag takes no value.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(secret = true)]
    password: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
