//! A plugin type that is not there, near one that is.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_sorce")]
struct Warehouse;

fn main() {}
