//! A plugin type without a contract yet.
use mlx_core::prelude::*;

#[mlx_plugin(type = "feature_store")]
struct Warehouse;

fn main() {}
