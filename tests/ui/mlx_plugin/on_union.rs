//! The attribute on a union.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
union Warehouse { a: u8, b: i8 }

fn main() {}
