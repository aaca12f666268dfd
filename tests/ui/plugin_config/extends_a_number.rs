//! Only structs and maps have fields.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(extends)]
    base: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
