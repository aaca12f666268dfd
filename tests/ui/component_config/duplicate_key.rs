//! A key twice in one setting.

mlx_core::component_config!(pub struct Settings = "ui/component_config/duplicate_key.json");

fn main() {
    let _: Option<Settings> = None;
}
