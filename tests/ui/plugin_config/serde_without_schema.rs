//! A type with serde's traits needs a schema too.

use mlx_core::{
    __private::serde::{Deserialize, Serialize},
    PluginConfig,
};

#[derive(PluginConfig)]
struct Config {
    #[config(serde)]
    at: At,
}

#[derive(Serialize, Deserialize)]
#[serde(crate = "mlx_core::__private::serde")]
struct At {
    seconds: u64,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
