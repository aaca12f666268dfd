//! A way to swap that is not there.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", swap = "hotswap")]
struct Warehouse;

fn main() {}
