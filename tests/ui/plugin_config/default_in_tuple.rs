//! A default of a struct's only value.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Size(#[config(default = 1)] u32);

fn main() {}
