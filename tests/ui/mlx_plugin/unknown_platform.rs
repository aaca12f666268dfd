//! An operating system that is not there, near one that is.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", platforms = ["linux", "windos"])]
struct Warehouse;

fn main() {}
