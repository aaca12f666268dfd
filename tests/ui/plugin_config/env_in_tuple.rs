//! A value without a name is never absent by itself.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config(#[config(env = "SIZE")] u32);

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
