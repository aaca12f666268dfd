//! Every mistake is reported, each where it is.
use mlx_core::prelude::*;

#[mlx_plugin(type = "data_sorce", name = "Warehouse", version = "1", swap = "never", nonsense)]
struct Warehouse;

fn main() {}
