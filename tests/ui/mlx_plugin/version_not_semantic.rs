//! A version with two parts.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", version = "1.0")]
struct Warehouse;

fn main() {}
