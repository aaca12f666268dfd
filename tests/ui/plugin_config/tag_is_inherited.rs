//! A field of the variant's content has the name of the tag.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct One {
    kind: u8,
}

#[derive(PluginConfig)]
#[config(tag = "kind")]
enum Config {
    One(One),
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
