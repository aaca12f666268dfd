//! A file with a list.

mlx_core::component_config!(pub struct Settings = "ui/component_config/component_not_an_object.json");

fn main() {
    let _: Option<Settings> = None;
}
