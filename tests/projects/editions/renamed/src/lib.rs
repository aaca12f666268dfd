//! A crate that calls the core by another name.

use core_of_ours::prelude::*;

core_of_ours::component_config! {
    #[config(crate = core_of_ours)]
    pub struct Base = "../constructs/component.json";
}

/// Settings.
#[derive(PluginConfig)]
#[config(crate = core_of_ours)]
pub struct RenamedConfig {
    /// The component's.
    #[config(extends)]
    pub base: Base,
    /// How.
    #[config(default)]
    pub mode: Mode,
}

/// How.
#[derive(PluginConfig, Default)]
#[config(crate = core_of_ours)]
pub enum Mode {
    /// So.
    #[default]
    So,
    /// Otherwise.
    Otherwise(u8),
}

/// Does something.
#[core_of_ours::contract(name = "worker", cardinality = "many", crate = core_of_ours)]
#[async_trait]
pub trait Worker {
    /// What was done.
    async fn work(&self) -> Result<String>;
}

/// A plugin.
#[mlx_plugin(type = Worker, crate = core_of_ours)]
pub struct Renamed(RenamedConfig);

#[async_trait]
impl Plugin for Renamed {
    type Config = RenamedConfig;
    async fn initialize(config: RenamedConfig, _: &InitContext) -> Result<Self> {
        Ok(Renamed(config))
    }
}

#[async_trait]
impl Worker for Renamed {
    async fn work(&self) -> Result<String> {
        let mode = match self.0.mode {
            Mode::So => 0,
            Mode::Otherwise(number) => number,
        };
        Ok(format!("{} {mode}", self.0.base.folder))
    }
}

/// A plugin of a built-in type.
#[mlx_plugin(type = "security", crate = core_of_ours)]
pub struct Guard;

#[async_trait]
impl Plugin for Guard {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Guard)
    }
}

#[async_trait]
impl core_of_ours::Security for Guard {
    async fn authenticate(&self, _: core_of_ours::Credential) -> Result<core_of_ours::Principal> {
        Err(Error::denied("nobody is known"))
    }
    async fn authorize(&self, _: core_of_ours::Principal, _: &str, _: &str) -> Result<bool> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_works() {
        let done = core_of_ours::block_on(async {
            let worker =
                registry().create::<dyn Worker>("renamed", json!({"folder": "f", "mode": {"Otherwise": 3}})).await?;
            let done = worker.work().await?;
            worker.shutdown().await?;
            Ok(done)
        });
        assert_eq!(done.unwrap(), "f 3");
        assert!(registry().problems().is_empty());
        assert_eq!(registry().len(), 2);
    }
}
