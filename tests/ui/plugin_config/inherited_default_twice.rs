//! Two defaults of one inherited field.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Base {
    size: u32,
}

#[derive(PluginConfig)]
struct Config {
    #[config(extends, default(size = 1, size = 2))]
    base: Base,
}

fn main() {}
