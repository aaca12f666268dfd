//! A list of the only numbers leaves no range to check.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(one_of = [1, 2], range(1..))]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
