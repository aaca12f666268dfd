//! `secret` as a number.

mlx_core::component_config!(pub struct Settings = "ui/component_config/secret_not_a_flag.json");

fn main() {
    let _: Option<Settings> = None;
}
