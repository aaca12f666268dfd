//! The folder of the file.

mlx_core::component_config!(pub struct Settings = "ui/component_config");

fn main() {
    let _: Option<Settings> = None;
}
