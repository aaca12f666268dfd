//! A range of texts.

mlx_core::component_config!(pub struct Settings = "ui/component_config/range_of_string.json");

fn main() {
    let _: Option<Settings> = None;
}
