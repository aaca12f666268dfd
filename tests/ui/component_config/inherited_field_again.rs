//! A setting that the component has already.

use mlx_core::PluginConfig;

mlx_core::component_config!(pub struct Settings = "ui/component_config/inherited_field_again.json");

#[derive(PluginConfig)]
struct Config {
    #[config(extends)]
    base: Settings,
    size: u32,
}

fn main() {}
