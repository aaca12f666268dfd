//! A default that the chosen integer type cannot hold.

mlx_core::component_config!(pub struct Settings = "ui/component_config/default_beyond_the_type.json");

fn main() {
    let _: Option<Settings> = None;
}
