//! A range that is open with `null`.

mlx_core::component_config!(pub struct Settings = "ui/component_config/range_end_not_a_number.json");

fn main() {
    let _: Option<Settings> = None;
}
