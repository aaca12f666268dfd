//! A key alone.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", name)]
struct Warehouse;

fn main() {}
