//! The default has the type of the field.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(default = 0)]
    size: std::num::NonZeroU32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
