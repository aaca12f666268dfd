//! The core's name as a text.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", crate = "mlx_core")]
struct Warehouse;

fn main() {}
