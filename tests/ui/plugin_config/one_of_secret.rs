//! Listed secrets would be in the schema.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(secret, one_of = ["a", "b"])]
    token: String,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
