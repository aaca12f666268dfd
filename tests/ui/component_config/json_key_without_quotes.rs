//! A key without quotes.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_key_without_quotes.json");

fn main() {
    let _: Option<Settings> = None;
}
