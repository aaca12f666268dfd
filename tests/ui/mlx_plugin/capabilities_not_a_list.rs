//! A text where a list belongs.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", capabilities = "sql")]
struct Warehouse;

fn main() {}
