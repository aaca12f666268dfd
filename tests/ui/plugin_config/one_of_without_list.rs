//! The values are a list.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(one_of("a", "b"))]
    mode: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
