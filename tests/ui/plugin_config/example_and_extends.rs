//! Inherited fields have their examples where they are declared.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Base {
    size: u32,
}

#[derive(PluginConfig)]
struct Config {
    #[config(extends, example = 1)]
    base: Base,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
