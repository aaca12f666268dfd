//! More memory than is counted.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", resources(memory_mib = 4294967296))]
struct Warehouse;

fn main() {}
