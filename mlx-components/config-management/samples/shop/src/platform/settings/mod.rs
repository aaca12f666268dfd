//! The settings of the application, with their types. Its values are in `settings/`.
//!
//! ```
//! # use mlx_core::prelude::*;
//! use sample::platform::settings::Settings;
//!
//! # async fn run(platform: &Platform) -> Result<()> {
//! let configuration = platform.get_default::<dyn Configuration>()?;
//! let settings = Settings::of(&configuration).await?;
//! println!("{}", settings.log.level);
//! # Ok(())
//! # }
//! ```

use mlx_core::prelude::*;

/// Everything that can be set. A key of the files that is not here is an error when they are read.
#[derive(Clone, Debug, PartialEq, PluginConfig)]
pub struct Settings {
    /// The application's name.
    #[config(non_empty)]
    pub name: String,
    /// What is logged.
    #[config(default)]
    pub log: Log,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, PluginConfig)]
pub struct Log {
    /// The least important level that is logged.
    #[config(default = "info", one_of = ["error", "warn", "info", "debug", "trace"])]
    pub level: String,
    /// How a line looks.
    #[config(default = "text", one_of = ["text", "json"])]
    pub format: String,
}

impl Settings {
    /// The settings that are in effect.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with every mistake, each with its file and line.
    pub async fn of(configuration: &dyn Configuration) -> Result<Self> {
        configuration.get("").await?.read()
    }
}
