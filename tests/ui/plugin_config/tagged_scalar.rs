//! A number has no fields beside the tag.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(tag = "kind")]
enum Config {
    One(u8),
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
