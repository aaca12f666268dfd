//! A requirement that nothing can meet.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", requires = ["type:feature_store"])]
struct Warehouse;

fn main() {}
