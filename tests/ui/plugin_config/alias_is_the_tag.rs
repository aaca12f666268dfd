//! Another name of a field cannot be that of the tag.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(tag = "kind")]
enum Config {
    One {
        #[config(alias = "kind")]
        length: u32,
    },
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
