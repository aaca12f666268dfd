//! A struct whose name gives no plugin name.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_source")]
struct Größe;

fn main() {}
