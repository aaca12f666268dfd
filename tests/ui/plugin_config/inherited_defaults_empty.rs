//! No defaults, in parentheses.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Base {
    size: u32,
}

#[derive(PluginConfig)]
struct Config {
    #[config(extends, default())]
    base: Base,
}

fn main() {}
