//! A required capability with a capital letter.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", requires = ["capability:SQL"])]
struct Warehouse;

fn main() {}
