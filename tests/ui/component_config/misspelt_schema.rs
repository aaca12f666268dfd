//! Settings under another key.

mlx_core::component_config!(pub struct Settings = "ui/component_config/misspelt_schema.json");

fn main() {
    let _: Option<Settings> = None;
}
