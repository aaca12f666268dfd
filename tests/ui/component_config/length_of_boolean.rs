//! The length of a truth.

mlx_core::component_config!(pub struct Settings = "ui/component_config/length_of_boolean.json");

fn main() {
    let _: Option<Settings> = None;
}
