//! The ends of a range have the type of the field.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(range(..mlx_core::config::ByteSize::mib(1)))]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
