//! A default that is none of the values.

mlx_core::component_config!(pub struct Settings = "ui/component_config/default_not_a_value.json");

fn main() {
    let _: Option<Settings> = None;
}
