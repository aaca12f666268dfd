//! An unnamed field has no name.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config(#[config(rename = "size")] u8);

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
