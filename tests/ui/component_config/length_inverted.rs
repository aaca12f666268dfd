//! The least length above the most.

mlx_core::component_config!(pub struct Settings = "ui/component_config/length_inverted.json");

fn main() {
    let _: Option<Settings> = None;
}
