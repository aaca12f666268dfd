//! A key that a setting does not have, near one that it has.

mlx_core::component_config!(pub struct Settings = "ui/component_config/unknown_key.json");

fn main() {
    let _: Option<Settings> = None;
}
