//! A config owns its data.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config<'a> {
    name: &'a str,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config<'static>>();
}
