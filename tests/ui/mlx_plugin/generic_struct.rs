//! A struct with a type parameter.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
struct Warehouse<C> {
    client: C,
}

fn main() {}
