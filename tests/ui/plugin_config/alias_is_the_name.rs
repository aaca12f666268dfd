//! Another name is another name.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(alias = "size")]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
