//! Two entries with nothing between them.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", data_formats = ["csv" "parquet"])]
struct Warehouse;

fn main() {}
