//! A limit that no float reaches.

mlx_core::component_config!(pub struct Settings = "ui/component_config/number_too_large.json");

fn main() {
    let _: Option<Settings> = None;
}
