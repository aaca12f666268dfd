//! A capability twice.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", capabilities = ["sql", "sql"])]
struct Warehouse;

fn main() {}
