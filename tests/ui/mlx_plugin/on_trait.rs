//! The attribute on a trait.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
trait Warehouse {}

fn main() {}
