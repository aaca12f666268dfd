//! A number among texts, which does not hide what follows it.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", data_formats = ["csv", 1, "parquet"])]
struct Warehouse;

fn main() {}
