//! The least value above the most.

mlx_core::component_config!(pub struct Settings = "ui/component_config/range_inverted.json");

fn main() {
    let _: Option<Settings> = None;
}
