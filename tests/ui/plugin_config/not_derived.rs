//! The type derives nothing.

use mlx_core::PluginConfig;

struct Config;

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
