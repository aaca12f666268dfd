//! The parts of the platform, and what it consists of.

use mlx_core::{Composition, Result, registry::PluginManifest};
use std::path::Path;

// mlx:begin modules
// mlx:end modules

/// Reads a composition, and lays profiles over it, the later over the earlier.
///
/// # Errors
/// What is wrong with the file, or a profile that it does not have.
pub fn composition(path: impl AsRef<Path>, profiles: &[String]) -> Result<Composition> {
    let composition = Composition::from_path(path)?;
    profiles
        .iter()
        .try_fold(composition, |composition, profile| {
            composition.with_profile(profile)
        })
}

/// The plugins that this project says it has: its `plugins.json`, as it was when the program was built.
/// `registry().doctor(&manifest)` compares them with the plugins that are linked.
///
/// # Errors
/// What is wrong with the file.
pub fn discover_component_plugins() -> Result<PluginManifest> {
    let manifest = PluginManifest::from_json("plugins.json", include_str!("../../plugins.json"))?;
    Ok(manifest.of_crate(env!("CARGO_PKG_NAME")))
}
