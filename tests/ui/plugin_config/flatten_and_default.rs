//! Inherited fields have their own defaults.

use mlx_core::PluginConfig;

#[derive(PluginConfig)]
#[config(component = "data-sources/snowflake")]
struct Base {
    #[config(source = "data-sources/snowflake/component.json:12")]
    warehouse: String,
    #[config(default)]
    password: Option<mlx_core::Secret>,
}

#[derive(PluginConfig)]
struct Config {
    #[config(flatten, default = Base)]
    base: Base,
}

fn main() {
    fn config<T: PluginConfig>() {}
    config::<Config>();
}
