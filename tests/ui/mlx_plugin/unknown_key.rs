//! A key that is not there, near one that is.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", capabilites = ["sql"])]
struct Warehouse;

fn main() {}
