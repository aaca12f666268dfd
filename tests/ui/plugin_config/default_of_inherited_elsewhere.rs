//! Defaults of inherited fields, where none are inherited.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(default(warehouse = "X"))]
    name: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
