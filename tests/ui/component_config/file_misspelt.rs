//! A file that is not there, near one that is.

mlx_core::component_config!(pub struct Settings = "ui/component_config/unknown_keys.json");

fn main() {
    let _: Option<Settings> = None;
}
