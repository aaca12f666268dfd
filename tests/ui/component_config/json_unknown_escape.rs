//! A path of Windows.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_unknown_escape.json");

fn main() {
    let _: Option<Settings> = None;
}
