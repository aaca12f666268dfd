//! The attribute on a function.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
fn warehouse() {}

fn main() {}
