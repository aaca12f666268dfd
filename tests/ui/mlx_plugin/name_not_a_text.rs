//! A path where a text belongs.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", name = warehouse)]
struct Warehouse;

fn main() {}
