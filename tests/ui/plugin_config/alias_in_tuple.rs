//! A value without a name has no other names.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config(#[config(alias = "size")] u32);

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
