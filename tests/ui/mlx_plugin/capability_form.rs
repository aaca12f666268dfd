//! A capability with a capital letter.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", capabilities = ["SQL"])]
struct Warehouse;

fn main() {}
