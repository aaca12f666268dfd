//! A truth as another language writes it.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_misspelt_value.json");

fn main() {
    let _: Option<Settings> = None;
}
