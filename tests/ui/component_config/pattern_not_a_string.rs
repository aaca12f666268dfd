//! A pattern that is no text.

mlx_core::component_config!(pub struct Settings = "ui/component_config/pattern_not_a_string.json");

fn main() {
    let _: Option<Settings> = None;
}
