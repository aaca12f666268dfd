//! A default that nobody could leave the setting out for.

mlx_core::component_config!(pub struct Settings = "ui/component_config/default_and_required.json");

fn main() {
    let _: Option<Settings> = None;
}
