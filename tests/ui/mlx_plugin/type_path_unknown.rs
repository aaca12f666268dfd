//! A contract that is not there.
use mlx_core::prelude::*;

#[mlx_plugin(type = Ledgr)]
struct Warehouse;

fn main() {}
