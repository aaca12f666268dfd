//! A setting that is only its type.

mlx_core::component_config!(pub struct Settings = "ui/component_config/setting_not_an_object.json");

fn main() {
    let _: Option<Settings> = None;
}
