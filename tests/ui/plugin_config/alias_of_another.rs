//! Two fields cannot have one name.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    size: u32,
    #[config(alias = "size")]
    length: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
