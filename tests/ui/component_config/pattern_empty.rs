//! A pattern that every text has.

mlx_core::component_config!(pub struct Settings = "ui/component_config/pattern_empty.json");

fn main() {
    let _: Option<Settings> = None;
}
