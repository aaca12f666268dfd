//! A pattern where all values are listed.

mlx_core::component_config!(pub struct Settings = "ui/component_config/enum_and_pattern.json");

fn main() {
    let _: Option<Settings> = None;
}
