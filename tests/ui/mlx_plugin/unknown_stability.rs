//! A stability that is not there, near one that is.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", stability = "stabel")]
struct Warehouse;

fn main() {}
