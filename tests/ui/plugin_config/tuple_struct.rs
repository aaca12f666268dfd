//! Unnamed fields have no names in the file.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config(u8, u8);

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
