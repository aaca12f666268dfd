//! A length below zero.

mlx_core::component_config!(pub struct Settings = "ui/component_config/length_negative.json");

fn main() {
    let _: Option<Settings> = None;
}
