//! Listed secrets would be in the schema, whatever marks them as secret.

use mlx_core::{PluginConfig, Secret};

#[derive(PluginConfig)]
struct Config {
    #[config(one_of = ["a", "b"])]
    token: Secret,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
