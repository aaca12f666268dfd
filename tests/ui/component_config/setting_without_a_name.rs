//! A key that makes no field.

mlx_core::component_config!(pub struct Settings = "ui/component_config/setting_without_a_name.json");

fn main() {
    let _: Option<Settings> = None;
}
