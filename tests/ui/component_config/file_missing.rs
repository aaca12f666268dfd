//! A file that is not there.

mlx_core::component_config!(pub struct Settings = "elsewhere/component.json");

fn main() {
    let _: Option<Settings> = None;
}
