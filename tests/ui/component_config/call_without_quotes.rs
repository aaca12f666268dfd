//! A path that is no text.

mlx_core::component_config!(pub struct Settings = component);

fn main() {}
