//! A field has a name.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(rename = "")]
    pool: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
