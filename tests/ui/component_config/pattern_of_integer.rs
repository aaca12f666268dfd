//! A pattern of numbers.

mlx_core::component_config!(pub struct Settings = "ui/component_config/pattern_of_integer.json");

fn main() {
    let _: Option<Settings> = None;
}
