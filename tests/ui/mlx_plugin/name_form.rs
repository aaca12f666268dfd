//! A name with capitals and an underscore.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source", name = "My_Warehouse")]
struct Warehouse;

fn main() {}
