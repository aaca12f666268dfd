//! A conflict with a struct, where its plugin name is meant.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", conflicts_with = ["BigQuery"])]
struct Warehouse;

fn main() {}
