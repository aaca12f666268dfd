//! A setting without a type.

mlx_core::component_config!(pub struct Settings = "ui/component_config/missing_type.json");

fn main() {
    let _: Option<Settings> = None;
}
