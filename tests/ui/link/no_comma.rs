//! Two crates with nothing between them.

mlx_core::link!(mlx_core mlx_core);

fn main() {}
