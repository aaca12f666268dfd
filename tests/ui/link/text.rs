//! A crate in quotes.

mlx_core::link!("my_plugins");

fn main() {}
