//! A component without a name, and a call that gives it none.

mlx_core::component_config!("ui/component_config/without_a_name.json");

fn main() {}
