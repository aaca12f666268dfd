//! A file could not say the default: it is too long.
use mlx_core::PluginConfig;
use std::time::Duration;

#[derive(PluginConfig)]
struct Config {
    #[config(default = "2h", range(Duration::from_secs(1)..=Duration::from_secs(3600)))]
    pause: Duration,
}

fn main() {}
