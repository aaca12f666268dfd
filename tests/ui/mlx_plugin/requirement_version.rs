//! A requirement with a version that is none.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", requires = ["sqlite@latest"])]
struct Warehouse;

fn main() {}
