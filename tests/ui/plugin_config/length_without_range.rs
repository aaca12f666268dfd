//! A length that is one number.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(length(3))]
    name: String,
}

fn main() {}
