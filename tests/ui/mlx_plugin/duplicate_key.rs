//! A key twice.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", name = "a", name = "b")]
struct Warehouse;

fn main() {}
