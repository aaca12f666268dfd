//! A struct with a lifetime.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
struct Warehouse<'a> {
    address: &'a str,
}

fn main() {}
