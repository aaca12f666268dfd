//! A number with a zero before it.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_leading_zero.json");

fn main() {
    let _: Option<Settings> = None;
}
