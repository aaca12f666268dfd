//! No plugin type.
use mlx_core::prelude::*;

#[mlx_plugin(name = "warehouse")]
struct Warehouse;

fn main() {}
