//! The attribute on an impl.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
impl Warehouse {}

struct Warehouse;

fn main() {}
