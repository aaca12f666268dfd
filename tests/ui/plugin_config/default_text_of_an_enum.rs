//! The default of an enum as a file would give it.
use mlx_core::PluginConfig;

#[derive(PluginConfig)]
struct Config {
    #[config(default = "short")]
    format: Format,
}

#[derive(PluginConfig)]
#[config(rename_all = "lowercase")]
enum Format {
    Short,
    Long,
}

fn main() {}
