//! The attribute on a constant.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
const WAREHOUSE: u8 = 0;

fn main() {}
