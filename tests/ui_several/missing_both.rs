//! Neither the contract nor the life cycle is implemented.
use mlx_core::prelude::*;

#[mlx_plugin(type = "monitoring")]
struct Warehouse;

fn main() {}
