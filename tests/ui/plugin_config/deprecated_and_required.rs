//! A field that every file needs cannot be avoided.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(deprecated = "use `length`")]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
