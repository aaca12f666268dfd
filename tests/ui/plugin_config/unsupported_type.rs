//! The type cannot be read.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    address: std::time::Instant,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
