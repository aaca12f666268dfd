//! A plugin that is needed and refused.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", requires = ["sqlite@^1"], conflicts_with = ["sqlite"])]
struct Warehouse;

fn main() {}
