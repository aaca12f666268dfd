//! An attribute of the type is misspelt.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(renameall = "camelCase")]
struct Config {
    pool_size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
