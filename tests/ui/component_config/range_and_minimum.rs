//! The least value, said twice.

mlx_core::component_config!(pub struct Settings = "ui/component_config/range_and_minimum.json");

fn main() {
    let _: Option<Settings> = None;
}
