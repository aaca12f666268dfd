//! An attribute of the type is on a field.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(rename_all = "camelCase")]
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
