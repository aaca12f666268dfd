//! An attribute of schemars has no effect.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[schemars(title = "Pool")]
struct Config {
    size: u8,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
