//! A renamed crate without its own name.

mlx_core::link!(mlx_core = );

fn main() {}
