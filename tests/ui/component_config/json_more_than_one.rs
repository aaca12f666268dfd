//! Two documents in one file.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_more_than_one.json");

fn main() {
    let _: Option<Settings> = None;
}
