//! A foreign type checks itself.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(serde, range(1..))]
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
