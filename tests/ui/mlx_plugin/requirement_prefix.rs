//! A requirement of something that is neither a type nor a capability.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", requires = ["capabilty:sql"])]
struct Warehouse;

fn main() {}
