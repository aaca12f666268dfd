//! A check is a function.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(validate = "check")]
    name: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
