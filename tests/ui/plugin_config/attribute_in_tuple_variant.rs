//! The content of a variant has no name.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
enum Config {
    One(#[config(range(1..))] u8),
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
