//! A limit that no integer type reaches.

mlx_core::component_config!(pub struct Settings = "ui/component_config/integer_too_large.json");

fn main() {
    let _: Option<Settings> = None;
}
