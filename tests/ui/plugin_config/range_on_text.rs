//! A text is in no range.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(range(1..=64))]
    name: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
