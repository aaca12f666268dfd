//! Another name of a field cannot be that of an inherited one.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Base {
    size: u32,
}

#[derive(PluginConfig)]
struct Config {
    #[config(extends)]
    base: Base,
    #[config(alias = "size")]
    length: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
