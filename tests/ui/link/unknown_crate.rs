//! A crate that Cargo.toml does not have.

mlx_core::link!(my_plugins);

fn main() {}
