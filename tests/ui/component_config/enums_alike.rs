//! Two keys that make one enum.

mlx_core::component_config!(pub struct Settings = "ui/component_config/enums_alike.json");

fn main() {
    let _: Option<Settings> = None;
}
