//! A default of which only the sign is there.
use mlx_core::prelude::*;

#[derive(PluginConfig)]
struct Pool {
    #[config(default = , range(1..))]
    size: u32,
}

fn main() {}
