//! `non_empty` is a `length`.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(length(..5), non_empty)]
    name: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
