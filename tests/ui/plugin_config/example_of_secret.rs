//! An example of a secret would be in the schema.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(secret, example = "x")]
    token: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
