//! A secret has a default in the source.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(secret, default = "hunter2")]
    password: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
