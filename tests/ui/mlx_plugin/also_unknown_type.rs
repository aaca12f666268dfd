//! A further type that is not there.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", also = ["monitorng"])]
struct Warehouse;

fn main() {}
