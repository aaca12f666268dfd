//! A list of the only texts leaves no pattern to match.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(pattern = "a", one_of = ["a", "b"])]
    mode: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
