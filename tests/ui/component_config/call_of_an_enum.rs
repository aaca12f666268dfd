//! A call for something else than a struct.

mlx_core::component_config!(pub enum Settings = "component.json");

fn main() {}
