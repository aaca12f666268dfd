//! The type of the elements cannot be read.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    /// Starts.
    #[config(default)]
    starts: Vec<std::time::Instant>,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
