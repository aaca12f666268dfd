//! `files`: settings from layers of YAML, TOML and JSON files, and from environment variables.
//!
//! ```yaml
//! plugins:
//!   - type: configuration
//!     name: files
//!     config:
//!       directory: config
//!       environment: ${env:APP_ENV:-development}
//!       env_prefix: APP
//!       watch: 5s
//! ```
//!
//! # The layers
//! Later layers are laid over earlier ones: mappings are merged key by key, anything else is replaced.
//!
//! | layer | where | |
//! |---|---|---|
//! | base | `config/base.yaml` | has to be there |
//! | environment | `config/development.yaml` | has to be there when `environment` is set |
//! | local | `config/local.yaml` | for one machine, not for version control; may be missing |
//! | variables | `APP__SERVER__PORT` sets `server.port` | when `env_prefix` is set |
//!
//! Instead of `.yaml` a file may end in `.yml`, `.toml` or `.json`. All mistakes of all files are reported together, with
//! their lines and columns, when the plugin starts.
//!
//! # Variables
//! `__` stands between names, and a name is spelt in capitals with `_` for any other character: `APP__LOG_FILE__MAX_SIZE`
//! sets `log-file.max_size` if a file has that, else `log_file.max_size`. The value is a text that is read as the type that
//! is asked for; one that begins with `[` or `{` is a list or a mapping, as in YAML, if it is well-formed. `${…}` in it is
//! not looked up.
//!
//! # References
//! `${env:NAME}` and `${file:PATH}` in a value are looked up when the files are read, and one that has no value is a mistake.
//! What is read as a `Secret` appears in no message. References to a security plugin, and to the variables of a composition,
//! are refused.
//!
//! # Changes
//! With `watch`, or on [`reload`](Configuration::reload), the files, and those that are referred to, are read again; what
//! has a mistake then is not taken over, and the plugin is degraded until it is mended. A change counts when two looks in a
//! row have found the same. Environment variables are those that the process has.
//!
//! # What it does not do
//! It knows no schema of the settings, so a misspelt key is found when nothing reads it, or when a struct that derives
//! `PluginConfig` reads the mapping that it is in.

mod layers;
#[cfg(test)]
mod tests;

use self::layers::{Contents, Layers, State};
use mlx_core::{plugin::StatusReporter, prelude::*, value::System};
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Settings of a configuration in files.
#[derive(Clone, Debug, PluginConfig)]
pub struct FilesConfig {
    /// The directory of the files.
    #[config(default = PathBuf::from("config"))]
    pub directory: PathBuf,
    /// The environment that the program runs in, such as `production`: the name of the file that is laid over the base.
    #[config(validate = check_environment)]
    pub environment: Option<String>,
    /// What the names of environment variables begin with that set settings: with `APP`, `APP__SERVER__PORT` sets
    /// `server.port`. Without it, none do.
    #[config(validate = check_prefix)]
    pub env_prefix: Option<String>,
    /// How often the files are looked at for changes. Without it, they are read again only on request.
    #[config(range(Duration::from_millis(100)..))]
    pub watch: Option<Duration>,
}

fn check_environment(environment: &Option<String>) -> Result<(), String> {
    let Some(environment) = environment else { return Ok(()) };
    match environment.as_str() {
        "base" | "local" => Err(format!("`{environment}` is the name of another layer")),
        name if name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) =>
        {
            Ok(())
        }
        _ => Err("the name of an environment begins with a letter or digit, and goes on with letters, digits, `-`, \
                  `_` and `.`"
            .to_owned()),
    }
}

fn check_prefix(prefix: &Option<String>) -> Result<(), String> {
    let Some(prefix) = prefix else { return Ok(()) };
    match prefix.as_str() {
        "MLX" => Err("`MLX` is what the variables begin with that set the settings of plugins".to_owned()),
        name if name.starts_with(|c: char| c.is_ascii_uppercase())
            && !name.ends_with('_')
            && !name.contains("__")
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') =>
        {
            Ok(())
        }
        _ => Err("a prefix is written in capitals, digits and single `_` between them: `APP`".to_owned()),
    }
}

/// Settings from layers of files, and from environment variables.
#[mlx_plugin(
    type = "configuration",
    name = "files",
    capabilities = ["files", "environment", "references", "reload"],
    data_formats = ["yaml", "toml", "json"],
    swap = "overlap",
    stability = "beta"
)]
pub struct Files {
    shared: Arc<Shared>,
    _watching: DropGuard,
}

struct Shared {
    layers: Layers,
    state: RwLock<Arc<State>>,
    /// The version in effect.
    version: watch::Sender<u64>,
    /// Held while the files are read anew.
    reading: tokio::sync::Mutex<()>,
}

#[async_trait]
impl Plugin for Files {
    type Config = FilesConfig;

    async fn initialize(config: FilesConfig, cx: &InitContext) -> Result<Self> {
        let FilesConfig { directory, environment, env_prefix, watch: every } = config;
        let layers = Layers { directory, environment, env_prefix, variables: Arc::new(System) };
        Files::start(layers, every, cx.status().clone()).await
    }

    async fn health(&self) -> Result<Health> {
        let state = self.shared.state();
        let files: Vec<_> = state.files.iter().map(|path| path.display().to_string()).collect();
        Ok(Health::healthy().detail("version", *self.shared.version.borrow()).detail("files", files))
    }
}

#[async_trait]
impl Configuration for Files {
    async fn find(&self, key: &str) -> Result<Option<ConfigEntry>> {
        let found: ConfigKey = key.parse()?;
        let state = self.shared.state();
        let entry =
            |node: &mlx_core::value::Node| ConfigEntry::new(key, node.clone()).with_variables(state.looked_up.clone());
        Ok(found.find(&state.root).map(entry))
    }

    async fn keys(&self, below: &str) -> Result<Vec<String>> {
        Ok(below.parse::<ConfigKey>()?.leaves(&self.shared.state().root))
    }

    async fn version(&self) -> Result<u64> {
        Ok(*self.shared.version.borrow())
    }

    async fn reload(&self) -> Result<u64> {
        self.shared.reload().await
    }

    async fn changed(&self, since: u64, wait: Duration) -> Result<u64> {
        let mut version = self.shared.version.subscribe();
        // The sender lives as long as `self`, so only the time can end the wait otherwise.
        let _ = tokio::time::timeout(wait, version.wait_for(|version| *version != since)).await;
        Ok(*self.shared.version.borrow())
    }
}

impl Files {
    async fn start(layers: Layers, every: Option<Duration>, status: StatusReporter) -> Result<Self> {
        let (layers, contents, state) = blocking(move || {
            let state = layers.read()?;
            Ok((layers.clone(), layers.look(&state), state))
        })
        .await?;
        let shared = Arc::new(Shared {
            layers,
            state: RwLock::new(Arc::new(state)),
            version: watch::Sender::new(next_version(0)),
            reading: tokio::sync::Mutex::default(),
        });
        let cancellation = CancellationToken::new();
        if let Some(every) = every {
            let (shared, cancelled) = (shared.clone(), cancellation.clone());
            tokio::spawn(async move { cancelled.run_until_cancelled(follow(&shared, contents, every, &status)).await });
        }
        Ok(Files { shared, _watching: cancellation.drop_guard() })
    }
}

impl Shared {
    fn state(&self) -> Arc<State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn reload(&self) -> Result<u64> {
        let _one_at_a_time = self.reading.lock().await;
        let layers = self.layers.clone();
        let state = blocking(move || layers.read()).await?;
        let same = state.same_settings(&self.state());
        // Also of the same settings the places may be others.
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        if !same {
            self.version.send_modify(|version| *version = next_version(*version));
        }
        Ok(*self.version.borrow())
    }
}

/// Reads the files anew whenever they have changed.
async fn follow(shared: &Shared, mut applied: Contents, every: Duration, status: &StatusReporter) {
    let mut last = applied.clone();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (layers, state) = (shared.layers.clone(), shared.state());
        let Ok(now) = blocking(move || Ok(layers.look(&state))).await else { continue };
        let settled = std::mem::replace(&mut last, now.clone()) == now;
        if !settled || now == applied {
            continue;
        }
        match shared.reload().await {
            Ok(_) => status.recovered(),
            Err(error) => status.degraded(format!("the files have changed and are not taken over: {error}")),
        }
        applied = now;
    }
}

/// A version after `last`. Later than those of an instance that ran before.
fn next_version(last: u64) -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros();
    u64::try_from(now).unwrap_or(u64::MAX).max(last.saturating_add(1))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Error::internal("reading the settings panicked")))
}
