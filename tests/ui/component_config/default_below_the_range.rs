//! A default that a file could not set.

mlx_core::component_config!(pub struct Settings = "ui/component_config/default_below_the_range.json");

fn main() {
    let _: Option<Settings> = None;
}
