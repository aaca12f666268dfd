//! A plugin that is needed and not needed.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", requires = ["sqlite"], optional = ["sqlite"])]
struct Warehouse;

fn main() {}
