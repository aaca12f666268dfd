//! Settings of a component of the project's own.

use crate::Worker;
use mlx_core::prelude::*;

mlx_core::component_config!("../constructs/component.json");

mlx_core::component_config! {
    /// The same, by another name.
    pub struct Renamed = "../constructs/component.json";
}

/// The component's settings and one more.
#[derive(PluginConfig)]
pub struct CacheConfig {
    /// The component's.
    #[config(extends, default(megabytes = 128))]
    pub base: LocalCache,
    /// Shards.
    #[config(default = 1)]
    pub shards: u8,
}

/// Keeps files.
#[mlx_plugin(type = Worker)]
pub struct Cache {
    config: CacheConfig,
}

#[async_trait]
impl Plugin for Cache {
    type Config = CacheConfig;
    async fn initialize(config: CacheConfig, _: &InitContext) -> Result<Self> {
        Ok(Cache { config })
    }
}

#[async_trait]
impl Worker for Cache {
    async fn work(&self) -> Result<String> {
        let CacheConfig { base, shards } = &self.config;
        Ok(format!("{} {} {shards}", base.folder, base.megabytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inherited_settings_lie_flat() {
        assert_eq!(crate::tests::work("cache", json!({"folder": "f", "shards": 2})).unwrap(), "f 128 2 by nobody");
        let report = format!("{:?}", crate::tests::work("cache", json!({"megabytes": 0})).unwrap_err());
        assert!(report.contains("missing field `folder`") && report.contains("MLX0023"), "{report}");
        let schema = registry().schema("worker", "cache").unwrap().as_value();
        let properties: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        for name in ["folder", "megabytes", "policy", "token", "shards"] {
            assert!(properties.iter().any(|p| *p == name), "{name} is not in {schema}");
        }
    }

    #[test]
    fn the_type_may_be_named_otherwise() {
        let _: fn(Renamed) -> String = |settings| settings.folder;
    }
}
