//! A crate as Cargo.toml writes it.

mlx_core::link!(mlx-core);

fn main() {}
