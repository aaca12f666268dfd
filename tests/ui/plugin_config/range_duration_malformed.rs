//! The end of a range is no duration: the unit is none.
use mlx_core::PluginConfig;
use std::time::Duration;

#[derive(PluginConfig)]
struct Config {
    #[config(default = "2s", range("1sec"..="1h"))]
    pause: Duration,
}

fn main() {}
