//! A union does not say what is in it.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
union Config {
    one: u8,
    two: i8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
