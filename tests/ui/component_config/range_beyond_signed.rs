//! A range for which no one integer type is chosen.

mlx_core::component_config!(pub struct Settings = "ui/component_config/range_beyond_signed.json");

fn main() {
    let _: Option<Settings> = None;
}
