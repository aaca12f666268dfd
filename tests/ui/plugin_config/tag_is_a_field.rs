//! A field has the name of the tag.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(tag = "kind")]
enum Config {
    One { kind: u8 },
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
