//! A foreign type lists its own values.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(serde, one_of = ["a", "b"])]
    mode: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
