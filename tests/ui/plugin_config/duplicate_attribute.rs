//! An attribute is given twice, in two lists.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(default = 1)]
    #[config(default = 2)]
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
