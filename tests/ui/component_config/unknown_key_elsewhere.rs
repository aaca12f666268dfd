//! A limit by its name in another schema language.

mlx_core::component_config!(pub struct Settings = "ui/component_config/unknown_key_elsewhere.json");

fn main() {
    let _: Option<Settings> = None;
}
