//! A number is none of the texts.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(one_of = ["a", "b"])]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
