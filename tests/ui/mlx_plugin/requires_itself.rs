//! A plugin in its own requirements.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", requires = ["warehouse@^1"])]
struct Warehouse;

fn main() {}
