//! A resource that is not there, near one that is.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", resources(memory_mb = 512))]
struct Warehouse;

fn main() {}
