//! A call with nothing in it.

mlx_core::component_config!();

fn main() {}
