//! A default longer than a file could set.

mlx_core::component_config!(pub struct Settings = "ui/component_config/default_too_long.json");

fn main() {
    let _: Option<Settings> = None;
}
