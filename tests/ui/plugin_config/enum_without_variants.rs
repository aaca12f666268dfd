//! No value is possible.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
enum Config {}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
