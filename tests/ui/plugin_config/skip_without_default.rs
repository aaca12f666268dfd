//! A field that no file has, and no default either.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(skip)]
    since: std::time::Instant,
}

fn main() {}
