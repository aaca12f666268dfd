//! A text over two lines.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_line_break_in_string.json");

fn main() {
    let _: Option<Settings> = None;
}
