//! A list with one element of another type.

mlx_core::component_config!(pub struct Settings = "ui/component_config/default_of_an_element.json");

fn main() {
    let _: Option<Settings> = None;
}
