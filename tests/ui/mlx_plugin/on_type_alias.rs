//! The attribute on a type alias.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
type Warehouse = u8;

fn main() {}
