//! A type that is neither a text nor a path.
use mlx_core::prelude::*;

#[mlx_plugin(type = 5)]
struct Warehouse;

fn main() {}
