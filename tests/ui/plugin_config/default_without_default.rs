//! The type has no default of its own.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(default)]
    address: std::net::IpAddr,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
