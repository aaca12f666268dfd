//! A whole number above one half.

mlx_core::component_config!(pub struct Settings = "ui/component_config/minimum_not_whole.json");

fn main() {
    let _: Option<Settings> = None;
}
