//! No comma between a default and a range.
use mlx_core::prelude::*;

#[derive(PluginConfig)]
struct Pool {
    #[config(default = u32::from(true) range(1..))]
    size: u32,
}

fn main() {}
