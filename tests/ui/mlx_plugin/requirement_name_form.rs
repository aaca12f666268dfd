//! A requirement with a struct's name.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", requires = ["SqliteSource"])]
struct Warehouse;

fn main() {}
