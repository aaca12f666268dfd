//! A range with one end.

mlx_core::component_config!(pub struct Settings = "ui/component_config/range_not_a_pair.json");

fn main() {
    let _: Option<Settings> = None;
}
