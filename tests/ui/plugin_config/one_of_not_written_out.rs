//! The values are written out, so that the schema has them.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(one_of = [1, u32::MAX])]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
