//! A file in another encoding.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_not_utf8.json");

fn main() {
    let _: Option<Settings> = None;
}
