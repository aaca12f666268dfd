//! `settings`: the [settings of the application](crate::platform::settings) from the files in
//! `settings`, in a hierarchy: `base.yaml`, then the file of the environment, then `local.yaml`, then
//! environment variables.
//!
//! The files are those of the plugin `files`. Beyond it, all of them are read as
//! [`settings::Settings`]: a mistake is found at the start, and with [`reload`](Configuration::reload), before
//! anybody asks for the setting.

use crate::platform::settings;
use mlx_core::prelude::*;
use mlx_plugins::configuration::files::{Files, FilesConfig};

/// Settings of the configuration.
#[derive(PluginConfig)]
pub struct SettingsConfig {
    /// directory, environment, env_prefix.
    #[config(extends)]
    pub base: mlx_components::services::ConfigManagement,
}

/// The settings of the application, from files in a hierarchy.
#[mlx_plugin(
    type = "configuration",
    name = "settings",
    capabilities = ["files", "environment", "references", "reload"],
    data_formats = ["yaml", "toml", "json"]
)]
pub struct Settings {
    files: Files,
    /// To look at the files before they take effect.
    config: FilesConfig,
    cx: InitContext,
}

#[async_trait]
impl Plugin for Settings {
    type Config = SettingsConfig;

    async fn initialize(config: SettingsConfig, cx: &InitContext) -> Result<Self> {
        let SettingsConfig { base } = config;
        let config = FilesConfig {
            directory: base.directory,
            environment: Some(base.environment),
            env_prefix: Some(base.env_prefix),
            watch: None,
        };
        let files = checked(&config, cx).await?;
        Ok(Settings {
            files,
            config,
            cx: cx.clone(),
        })
    }

    async fn health(&self) -> Result<Health> {
        self.files.health().await
    }
}

/// The files, with no mistake in them.
async fn checked(config: &FilesConfig, cx: &InitContext) -> Result<Files> {
    let files = Files::initialize(config.clone(), cx).await?;
    settings::Settings::of(&files).await?;
    Ok(files)
}

#[async_trait]
impl Configuration for Settings {
    async fn find(&self, key: &str) -> Result<Option<ConfigEntry>> {
        self.files.find(key).await
    }

    async fn keys(&self, below: &str) -> Result<Vec<String>> {
        self.files.keys(below).await
    }

    async fn version(&self) -> Result<u64> {
        self.files.version().await
    }

    async fn reload(&self) -> Result<u64> {
        checked(&self.config, &self.cx).await?;
        self.files.reload().await
    }

    async fn changed(&self, since: u64, wait: Duration) -> Result<u64> {
        self.files.changed(since, wait).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    async fn start(directory: &Path, environment: &str) -> Result<Settings> {
        let config = json!({
            "directory": directory, "environment": environment, "env_prefix": "APP_TEST",
        });
        let config = mlx_core::config::from_json(config)
            .map_err(|found| Error::from_diagnostics("the settings", found))?;
        Settings::initialize(config, &InitContext::alone("settings")).await
    }

    #[test]
    fn every_environment_can_be_read() -> Result<()> {
        mlx_core::block_on(async {
            let directory = Path::new("settings");
            let dev = settings::Settings::of(&start(directory, "dev").await?).await?;
            assert_eq!(dev.log.level, "debug");
            let prod = settings::Settings::of(&start(directory, "prod").await?).await?;
            assert_eq!(
                (prod.log.level.as_str(), prod.log.format.as_str()),
                ("info", "json")
            );
            assert!(start(directory, "nowhere").await.is_err());
            Ok(())
        })
    }

    #[test]
    fn a_mistake_is_found_before_it_takes_effect() -> Result<()> {
        mlx_core::block_on(async {
            let directory = std::env::temp_dir().join(format!("settings-{}", std::process::id()));
            std::fs::create_dir_all(&directory)?;
            std::fs::write(directory.join("base.yaml"), "name: a\n")?;
            std::fs::write(directory.join("dev.yaml"), "{}\n")?;
            let settings = start(&directory, "dev").await?;
            let version = settings.version().await?;
            std::fs::write(directory.join("base.yaml"), "name: b\nlogg: {}\n")?;
            let error = settings.reload().await.unwrap_err();
            assert!(format!("{error:?}").contains("base.yaml:2"), "{error:?}");
            assert_eq!(settings::Settings::of(&settings).await?.name, "a");
            std::fs::write(directory.join("base.yaml"), "name: b\n")?;
            assert_ne!(settings.reload().await?, version);
            assert_eq!(settings::Settings::of(&settings).await?.name, "b");
            std::fs::remove_dir_all(&directory)?;
            Ok(())
        })
    }
}
