//! A module of a crate.

mlx_core::link!(mlx_core::plugin);

fn main() {}
