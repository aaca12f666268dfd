//! A key with nothing between it and its value.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_missing_colon.json");

fn main() {
    let _: Option<Settings> = None;
}
