//! The length of a path.

mlx_core::component_config!(pub struct Settings = "ui/component_config/format_and_length.json");

fn main() {
    let _: Option<Settings> = None;
}
