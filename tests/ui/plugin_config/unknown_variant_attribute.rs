//! A key that variants do not have.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
enum Mode {
    #[config(renam = "quick")]
    Fast,
}

fn main() {}
