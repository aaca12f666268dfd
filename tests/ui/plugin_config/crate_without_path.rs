//! The core's name as a text.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(crate = "mlx_core")]
struct Config {
    size: u32,
}

fn main() {}
