//! The plugins of the project.
//!
//! Each is a module here, is listed in `plugins.json`, and runs when `platform.yaml` names it.

pub use super::discover_component_plugins;

// mlx:begin plugins
// mlx:end plugins

// Crates whose plugins `platform.yaml` may name as they are: `mlx_core::link!(that_crate);`.
// mlx:begin links
// mlx:end links
