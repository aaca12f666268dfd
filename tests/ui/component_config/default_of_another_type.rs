//! A text for a number.

mlx_core::component_config!(pub struct Settings = "ui/component_config/default_of_another_type.json");

fn main() {
    let _: Option<Settings> = None;
}
