//! A key of another schema language.

mlx_core::component_config!(pub struct Settings = "ui/component_config/unknown_key_far.json");

fn main() {
    let _: Option<Settings> = None;
}
