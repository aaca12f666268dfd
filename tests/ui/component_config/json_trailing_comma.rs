//! A comma after the last member.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_trailing_comma.json");

fn main() {
    let _: Option<Settings> = None;
}
