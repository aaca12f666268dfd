//! A key in single quotes.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_single_quotes.json");

fn main() {
    let _: Option<Settings> = None;
}
