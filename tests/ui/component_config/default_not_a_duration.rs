//! A duration with a space.

mlx_core::component_config!(pub struct Settings = "ui/component_config/default_not_a_duration.json");

fn main() {
    let _: Option<Settings> = None;
}
