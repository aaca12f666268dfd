//! An attribute of serde has no effect.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[serde(rename = "size")]
    pool: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
