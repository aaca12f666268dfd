//! A file could not say the default: it is too large.
use mlx_core::{PluginConfig, config::ByteSize};

#[derive(PluginConfig)]
struct Config {
    #[config(default = ByteSize::mib(64), range("1KiB".."64MiB"))]
    size: ByteSize,
}

fn main() {}
