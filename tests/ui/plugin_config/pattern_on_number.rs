//! A number matches no pattern.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(pattern = "^a")]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
