//! A number that stops at its point.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_number_without_digits.json");

fn main() {
    let _: Option<Settings> = None;
}
