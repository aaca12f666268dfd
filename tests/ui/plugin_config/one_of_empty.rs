//! A list without values accepts none.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(one_of = [])]
    mode: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
