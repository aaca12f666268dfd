//! The name that another schema language has for a type.

mlx_core::component_config!(pub struct Settings = "ui/component_config/foreign_type.json");

fn main() {
    let _: Option<Settings> = None;
}
