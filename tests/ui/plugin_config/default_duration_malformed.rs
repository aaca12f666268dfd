//! A default that no file could say: the unit is none.
use mlx_core::prelude::*;
use std::time::Duration;

#[derive(PluginConfig)]
struct Retry {
    #[config(default = "50msec")]
    pause: Duration,
}

fn main() {}
