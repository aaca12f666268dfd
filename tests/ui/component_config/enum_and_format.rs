//! Values that are paths too.

mlx_core::component_config!(pub struct Settings = "ui/component_config/enum_and_format.json");

fn main() {
    let _: Option<Settings> = None;
}
