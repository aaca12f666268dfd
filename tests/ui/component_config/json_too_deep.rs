//! More lists in lists than anybody means.

mlx_core::component_config!(pub struct Settings = "ui/component_config/json_too_deep.json");

fn main() {
    let _: Option<Settings> = None;
}
