//! Two inherited types declare a field.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct First {
    size: u8,
}

#[derive(PluginConfig)]
struct Second {
    size: u8,
}

#[derive(PluginConfig)]
struct Config {
    #[config(extends)]
    first: First,
    #[config(extends)]
    second: Second,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
