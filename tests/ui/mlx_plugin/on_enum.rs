//! The attribute on an enum.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
enum Warehouse { Local, Remote }

fn main() {}
