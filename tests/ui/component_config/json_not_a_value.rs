//! A text without quotes.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_not_a_value.json");

fn main() {
    let _: Option<Settings> = None;
}
