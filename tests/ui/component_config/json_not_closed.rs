//! A file that ends too early.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_not_closed.json");

fn main() {
    let _: Option<Settings> = None;
}
