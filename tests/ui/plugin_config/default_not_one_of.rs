//! A file could not say the default: it is not in the list.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(default = "c", one_of = ["a", "b"])]
    mode: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
