//! A key of fields on a variant.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
enum Mode {
    #[config(secret)]
    Fast,
}

fn main() {}
