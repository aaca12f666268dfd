//! An attribute of a field is on the type.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(secret)]
struct Config {
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
