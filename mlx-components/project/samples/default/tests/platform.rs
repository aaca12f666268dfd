//! The platform as a whole: what is linked, and what runs.

use mlx_core::prelude::*;

use sample::platform;

#[test]
fn the_plugins_of_plugins_json_are_linked() -> Result<()> {
    let found = registry().doctor(&platform::discover_component_plugins()?);
    let errors: Vec<String> = found
        .iter()
        .filter(|finding| finding.is_error())
        .map(ToString::to_string)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    Ok(())
}

// Paths in it are relative to the project's folder, which is where cargo runs tests.
#[test]
fn the_composition_starts_and_stops() -> Result<()> {
    mlx_core::block_on(async {
        let composition = platform::composition("platform.yaml", &["test".to_owned()])?;
        let enabled = composition
            .plugins()
            .iter()
            .filter(|plugin| plugin.enabled)
            .count();
        let platform = registry().activate(composition).await?;
        let health = platform.health().await;
        assert_eq!(health.plugins.len(), enabled);
        assert!(health.ready(), "{health:#?}");
        platform.shutdown().await
    })
}
