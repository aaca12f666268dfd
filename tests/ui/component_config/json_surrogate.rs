//! Half of a character.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_surrogate.json");

fn main() {
    let _: Option<Settings> = None;
}
