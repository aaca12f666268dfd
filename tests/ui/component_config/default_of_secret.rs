//! A secret in the source.

mlx_core::component_config!(pub struct Settings = "ui/component_config/default_of_secret.json");

fn main() {
    let _: Option<Settings> = None;
}
