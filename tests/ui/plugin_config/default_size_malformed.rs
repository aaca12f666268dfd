//! A default that no file could say: the number is a fraction.
use mlx_core::{config::ByteSize, prelude::*};

#[derive(PluginConfig)]
struct Cache {
    #[config(default = "1.5GiB")]
    size: ByteSize,
}

fn main() {}
