//! A secret has a default in the source.

use mlx_core::{PluginConfig, Secret};

#[derive(PluginConfig)]
struct Config {
    #[config(default = "hunter2")]
    password: Secret,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
