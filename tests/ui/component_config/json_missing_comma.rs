//! Two members with nothing between them.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_missing_comma.json");

fn main() {
    let _: Option<Settings> = None;
}
