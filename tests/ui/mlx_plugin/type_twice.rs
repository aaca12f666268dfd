//! The plugin type among the further ones.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", also = ["data_source"])]
struct Warehouse;

fn main() {}
