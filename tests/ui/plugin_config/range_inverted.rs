//! No number is in the range.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(range(64..=1))]
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
