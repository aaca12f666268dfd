//! A name that no type can have.

mlx_core::component_config!("ui/component_config/name_of_no_type.json");

fn main() {}
