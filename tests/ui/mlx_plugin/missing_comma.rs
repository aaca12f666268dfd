//! Two keys with nothing between them.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source" name = "warehouse")]
struct Warehouse;

fn main() {}
