//! A path that is another on each machine.

mlx_core::component_config!(pub struct Settings = "/etc/component.json");

fn main() {
    let _: Option<Settings> = None;
}
