//! `required` in words.

mlx_core::component_config!(pub struct Settings = "ui/component_config/required_not_a_flag.json");

fn main() {
    let _: Option<Settings> = None;
}
