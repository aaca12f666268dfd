//! A way into the registry that is not there.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", registration = "ctor")]
struct Warehouse;

fn main() {}
