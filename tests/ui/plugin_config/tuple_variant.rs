//! Unnamed fields have no names in the file.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
enum Config {
    One(u8, u8),
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
