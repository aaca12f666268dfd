//! Items that are only their type.

mlx_core::component_config!(pub struct Settings = "ui/component_config/items_not_an_object.json");

fn main() {
    let _: Option<Settings> = None;
}
