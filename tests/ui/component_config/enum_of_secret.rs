//! Secrets to choose from.

mlx_core::component_config!(pub struct Settings = "ui/component_config/enum_of_secret.json");

fn main() {
    let _: Option<Settings> = None;
}
