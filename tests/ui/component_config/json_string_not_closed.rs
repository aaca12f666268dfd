//! A text without its end.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_string_not_closed.json");

fn main() {
    let _: Option<Settings> = None;
}
