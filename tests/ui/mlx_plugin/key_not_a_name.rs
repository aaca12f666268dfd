//! A value without its key.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", "warehouse")]
struct Warehouse;

fn main() {}
