//! A default in quotation marks, where the type is no text.
use mlx_core::prelude::*;

#[derive(PluginConfig)]
struct Server {
    #[config(default = "25")]
    port: u16,
}

fn main() {}
