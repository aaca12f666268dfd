//! A plugin that is wanted and refused.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", optional = ["sqlite"], conflicts_with = ["sqlite"])]
struct Warehouse;

fn main() {}
