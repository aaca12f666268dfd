//! A field that is not in the file has no name there.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(skip, rename = "size")]
    pool: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
