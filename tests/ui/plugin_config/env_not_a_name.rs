//! The names of environment variables are letters, digits and `_`.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(env = "MY-SIZE")]
    size: u32,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
