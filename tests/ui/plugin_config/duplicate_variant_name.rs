//! Two variants have one name in the file.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(rename_all = "lowercase")]
enum Config {
    Fast,
    FAST,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
