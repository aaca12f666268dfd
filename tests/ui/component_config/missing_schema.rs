//! A component without settings.

mlx_core::component_config!(pub struct Settings = "ui/component_config/missing_schema.json");

fn main() {
    let _: Option<Settings> = None;
}
