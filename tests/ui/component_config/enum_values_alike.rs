//! Two values with one name in Rust.

mlx_core::component_config!(pub struct Settings = "ui/component_config/enum_values_alike.json");

fn main() {
    let _: Option<Settings> = None;
}
