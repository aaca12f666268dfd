//! The second way to register, where the core does not have it.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", registration = "linkme")]
struct Warehouse;

fn main() {}
