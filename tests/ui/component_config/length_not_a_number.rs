//! A length that is no number.

mlx_core::component_config!(pub struct Settings = "ui/component_config/length_not_a_number.json");

fn main() {
    let _: Option<Settings> = None;
}
