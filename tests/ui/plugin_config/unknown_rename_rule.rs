//! The rule is misspelt.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(rename_all = "camlCase")]
struct Config {
    pool_size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
