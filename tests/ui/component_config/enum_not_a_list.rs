//! One value, without its list.

mlx_core::component_config!(pub struct Settings = "ui/component_config/enum_not_a_list.json");

fn main() {
    let _: Option<Settings> = None;
}
