//! Two types at once.

mlx_core::component_config!(pub struct Settings = "ui/component_config/type_not_a_string.json");

fn main() {
    let _: Option<Settings> = None;
}
