//! No crate.

mlx_core::link!();

fn main() {}
