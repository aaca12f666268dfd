//! A format that is not there.

mlx_core::component_config!(pub struct Settings = "ui/component_config/unknown_format.json");

fn main() {
    let _: Option<Settings> = None;
}
