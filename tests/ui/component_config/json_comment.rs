//! A comment.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_comment.json");

fn main() {
    let _: Option<Settings> = None;
}
