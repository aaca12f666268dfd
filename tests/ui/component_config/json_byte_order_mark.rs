//! A file as some editors save it.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_byte_order_mark.json");

fn main() {
    let _: Option<Settings> = None;
}
