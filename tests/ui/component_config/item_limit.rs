//! Limits belong to the setting, not to its items.

mlx_core::component_config!(pub struct Settings = "ui/component_config/item_limit.json");

fn main() {
    let _: Option<Settings> = None;
}
