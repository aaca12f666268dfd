//! The check takes another type.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(validate = check)]
    name: String,
}

fn check(size: &u8) -> Result<(), String> {
    Err(size.to_string())
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
