//! An amount with a unit.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", resources(memory_mib = "512Mi"))]
struct Warehouse;

fn main() {}
