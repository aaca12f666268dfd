//! A value with no letter or digit to name it by.

mlx_core::component_config!(pub struct Settings = "ui/component_config/enum_value_without_a_name.json");

fn main() {
    let _: Option<Settings> = None;
}
