//! The attribute on a module.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
mod warehouse {}

fn main() {}
