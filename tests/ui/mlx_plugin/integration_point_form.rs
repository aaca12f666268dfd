//! A plugin where its type is meant.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", integration_points = ["model-server"])]
struct Warehouse;

fn main() {}
