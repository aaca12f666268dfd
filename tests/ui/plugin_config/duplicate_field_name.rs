//! Two fields have one name in the file.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    size: u8,
    #[config(rename = "size")]
    pool: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
