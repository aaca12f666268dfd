//! A value twice.

mlx_core::component_config!(pub struct Settings = "ui/component_config/enum_value_repeated.json");

fn main() {
    let _: Option<Settings> = None;
}
