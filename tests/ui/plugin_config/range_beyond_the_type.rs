//! The limit does not fit the number.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(range(1.5..))]
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
