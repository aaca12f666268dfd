//! Two keys that make one field.

mlx_core::component_config!(pub struct Settings = "ui/component_config/settings_alike.json");

fn main() {
    let _: Option<Settings> = None;
}
