//! A list with an empty text.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", data_formats = [""])]
struct Warehouse;

fn main() {}
