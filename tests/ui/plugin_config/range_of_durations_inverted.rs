//! No duration is in the range.
use mlx_core::PluginConfig;
use std::time::Duration;

#[derive(PluginConfig)]
struct Config {
    #[config(default = "2s", range("1h"..="1s"))]
    pause: Duration,
}

fn main() {}
