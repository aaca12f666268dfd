//! A code point with three digits.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_unicode_escape.json");

fn main() {
    let _: Option<Settings> = None;
}
