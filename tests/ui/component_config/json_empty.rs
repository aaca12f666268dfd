//! A file with nothing in it.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_empty.json");

fn main() {
    let _: Option<Settings> = None;
}
