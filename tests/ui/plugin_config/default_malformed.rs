//! A default that is no expression.
use mlx_core::prelude::*;

#[derive(PluginConfig)]
struct Pool {
    #[config(default = 1 +)]
    size: u32,
}

fn main() {}
