//! The end of a range is no size: the unit is missing.
use mlx_core::{PluginConfig, config::ByteSize};

#[derive(PluginConfig)]
struct Config {
    #[config(range(..="1000"))]
    size: Option<ByteSize>,
}

fn main() {}
