//! A requirement that nothing can meet.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", requires = ["type:compute_backend"])]
struct Warehouse;

fn main() {}
