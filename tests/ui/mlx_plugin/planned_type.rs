//! A plugin type without a contract yet.
use mlx_core::prelude::*;

#[mlx_plugin(type = "compute_backend")]
struct Warehouse;

fn main() {}
