//! The enum has no default variant.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(default)]
    mode: Mode,
}

#[derive(PluginConfig)]
enum Mode {
    Fast,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
