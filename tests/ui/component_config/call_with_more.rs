//! Two files in one call.

mlx_core::component_config!("component.json" "component.json");

fn main() {}
