//! The least length above the most.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(length(3..=2))]
    name: String,
}

fn main() {}
