//! A setting twice.

mlx_core::component_config!(pub struct Settings = "ui/component_config/duplicate_setting.json");

fn main() {
    let _: Option<Settings> = None;
}
