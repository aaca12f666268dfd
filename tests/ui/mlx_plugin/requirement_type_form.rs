//! A required type with a trait's name.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", requires = ["type:DataSource"])]
struct Warehouse;

fn main() {}
