//! A plugin in its own conflicts.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", conflicts_with = ["warehouse"])]
struct Warehouse;

fn main() {}
