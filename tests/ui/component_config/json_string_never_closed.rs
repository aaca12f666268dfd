//! A text that reaches to the end of the file.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_string_never_closed.json");

fn main() {
    let _: Option<Settings> = None;
}
