//! A character that cannot be seen.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_control_character.json");

fn main() {
    let _: Option<Settings> = None;
}
