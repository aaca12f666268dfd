//! A file that is no component.

mlx_core::component_config!(pub struct Settings = "ui/component_config/too_large.json");

fn main() {
    let _: Option<Settings> = None;
}
