//! An example of a secret would be in the schema, also under an `Option`.

use mlx_core::{PluginConfig, Secret};

#[derive(PluginConfig)]
struct Config {
    #[config(example = "x")]
    token: Option<Secret>,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
