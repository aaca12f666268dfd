//! Resources as a number.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", resources = 512)]
struct Warehouse;

fn main() {}
