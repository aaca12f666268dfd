//! A fixed set of small plugins, which the compositions below `tests/compositions` are written for: one for each rule
//! that a composition can break.
//!
//! The crate's own tests are in `tests/`; the fuzz targets in `fuzz/` use the same plugins.
#![forbid(unsafe_code)]

pub mod compositions;

use mlx_core::{contract, prelude::*, value::Variables};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    num::NonZero,
    path::Path,
};

/// Where data comes from; any number of them.
#[contract(name = "store", cardinality = "many", capabilities = ["sql", "streaming", "embedded"])]
#[async_trait]
pub trait Store {
    /// How many rows there are.
    #[idempotent]
    async fn rows(&self) -> Result<u64>;
}

/// Where runs are written down; one.
#[contract(name = "ledger", cardinality = "one")]
#[async_trait]
pub trait Ledger {
    /// How many runs there are.
    async fn runs(&self) -> Result<u64>;
}

/// One for each region.
#[contract(name = "gateway", cardinality = "one per region")]
#[async_trait]
pub trait Gateway {
    /// The region.
    async fn region(&self) -> Result<String>;
}

/// A step of the work.
#[contract(name = "stage", cardinality = "many")]
#[async_trait]
pub trait Stage {
    /// Does it.
    async fn run(&self) -> Result<()>;
}

macro_rules! plugin {
    ($($(#[$meta:meta])* $name:ident: $contract:ident($config:ty) $method:ident -> $returns:ty = $value:expr;)+) => { $(
        $(#[$meta])*
        pub struct $name;

        #[async_trait]
        impl Plugin for $name {
            type Config = $config;
            async fn initialize(_: $config, _: &InitContext) -> Result<Self> {
                Ok($name)
            }
        }

        #[async_trait]
        impl $contract for $name {
            async fn $method(&self) -> Result<$returns> {
                Ok($value)
            }
        }
    )+ };
}

/// How rows are compressed.
#[derive(PluginConfig)]
#[config(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    None,
    /// Fast.
    Lz4,
    /// Small.
    Zstd {
        /// From fast to small.
        #[config(range(1..=19))]
        level: u8,
    },
}

/// Where rows are kept, told apart by `kind`.
#[derive(PluginConfig)]
#[config(tag = "kind", rename_all = "kebab-case")]
pub enum Place {
    /// In memory.
    Memory,
    /// In a file.
    File {
        /// Which.
        path: PathBuf,
    },
}

/// A user of the store.
#[derive(PluginConfig)]
pub struct User {
    /// Who.
    pub name: String,
    /// Proof.
    pub password: Secret<String>,
    /// What they may do.
    #[config(default)]
    pub roles: BTreeSet<String>,
}

/// Who signs.
#[derive(PluginConfig)]
pub struct Certificate {
    /// PEM.
    pub key: Secret<String>,
    /// Days that are left.
    #[config(default = 90)]
    pub days: u16,
}

fn divides_sixty(every: &Duration) -> Result<(), String> {
    match 60_u64.checked_rem(every.as_secs()) {
        Some(0) => Ok(()),
        _ => Err("the interval does not divide a minute".to_owned()),
    }
}

fn ends_after_begin(window: &Window) -> Result<(), String> {
    if window.end > window.begin { Ok(()) } else { Err("the window ends before it begins".to_owned()) }
}

/// When work is done.
#[derive(PluginConfig)]
#[config(validate = ends_after_begin)]
pub struct Window {
    /// The first hour.
    #[config(range(..=23))]
    pub begin: u8,
    /// The hour after the last.
    #[config(range(..=24))]
    pub end: u8,
}

/// Settings of a warehouse: one of each kind.
#[derive(PluginConfig)]
pub struct WarehouseConfig {
    /// Where it is.
    #[config(non_empty)]
    pub host: String,
    /// TCP port.
    #[config(default = 5432, range(1..))]
    pub port: u16,
    /// Connections kept open.
    #[config(default = 5, range(1..=64))]
    pub pool_size: u32,
    /// A share of the memory.
    #[config(default = 0.5, range(0.0..=1.0))]
    pub memory_share: f64,
    /// Whether to encrypt.
    #[config(default = true)]
    pub tls: bool,
    /// How long a query may take.
    #[config(default = Duration::from_secs(300), range(Duration::from_secs(1)..=Duration::from_secs(3600)))]
    pub timeout: Duration,
    /// How often it is cleaned.
    #[config(default = Duration::from_secs(60), validate = divides_sixty)]
    pub every: Duration,
    /// How much is kept in memory.
    pub cache: Option<mlx_core::config::ByteSize>,
    /// The schema.
    #[config(default = "public", pattern = "^[a-z_]+$", length(..=12))]
    pub schema: String,
    /// How queries are isolated.
    #[config(default = "snapshot", one_of = ["snapshot", "serializable"])]
    pub isolation: String,
    /// How rows are compressed.
    pub compression: Option<Compression>,
    /// Where rows are kept.
    pub place: Option<Place>,
    /// Where metrics are shown.
    pub metrics: Option<SocketAddr>,
    /// Workers.
    pub workers: Option<NonZero<u8>>,
    /// One character.
    pub separator: Option<char>,
    /// Tables by name, each with its columns.
    #[config(default)]
    pub tables: BTreeMap<String, Vec<String>>,
    /// Who may use it.
    #[config(default, length(..=3))]
    pub users: Vec<User>,
    /// The corners of the map.
    pub corners: Option<[f32; 2]>,
    /// Words that mean nothing.
    #[config(default)]
    pub stop_words: BTreeSet<String>,
    /// When work is done.
    pub window: Option<Window>,
    /// The key of the service.
    #[config(length(8..=64))]
    pub token: Option<Secret<String>>,
    /// A number that nobody may know.
    #[config(range(1000..=9999))]
    pub pin: Option<Secret<u16>>,
    /// Keys by name.
    #[config(default)]
    pub keys: BTreeMap<String, Secret<String>>,
    /// Several keys.
    #[config(default)]
    pub spare_tokens: Vec<Secret<String>>,
    /// A secret as a whole.
    pub certificate: Option<Secret<Certificate>>,
    /// Where messages go, with a password.
    #[config(secret)]
    pub broker: Option<String>,
    /// The old name of `pool_size`.
    #[config(deprecated = "use `pool_size`")]
    pub pool: Option<u32>,
    /// Read by another of its names too.
    #[config(alias = "zone")]
    pub region: Option<String>,
    /// Read from the environment where the file has none.
    #[config(env = "WAREHOUSE_COLOUR", one_of = ["red", "blue"])]
    pub colour: Option<String>,
}

/// A ledger's settings.
#[derive(PluginConfig)]
pub struct LedgerConfig {
    /// Its file.
    #[config(default = "runs.db")]
    pub path: String,
}

/// A gateway's settings.
#[derive(PluginConfig)]
pub struct GatewayConfig {
    /// Where it stands.
    pub region: String,
}

/// What a troubled plugin does when it starts.
#[derive(PluginConfig, Clone, Copy)]
#[config(rename_all = "snake_case")]
pub enum Trouble {
    /// It reports an error.
    Fail,
    /// It panics.
    Panic,
    /// It never ends.
    Hang,
}

/// A troubled plugin's settings.
#[derive(PluginConfig)]
pub struct TroubledConfig {
    /// What happens when it starts.
    pub start: Option<Trouble>,
    /// What happens when it stops.
    pub stop: Option<Trouble>,
    /// Not to be seen, whatever happens.
    pub token: Option<Secret<String>>,
}

plugin! {
    /// A warehouse with a setting of each kind.
    #[mlx_plugin(type = Store, version = "2.3.0", capabilities = ["sql"])]
    Warehouse: Store(WarehouseConfig) rows -> u64 = 0;

    /// Rows that come one by one; not beside a warehouse of the same database.
    #[mlx_plugin(type = Store, capabilities = ["streaming"], conflicts_with = ["archive"])]
    Stream: Store(NoConfig) rows -> u64 = 0;

    /// Rows that nobody reads.
    #[mlx_plugin(type = Store, version = "1.4.0")]
    Archive: Store(NoConfig) rows -> u64 = 0;

    /// Rows in this process; it cannot share it with anything that speaks SQL.
    #[mlx_plugin(type = Store, capabilities = ["embedded"], conflicts_with = ["sql"])]
    Memory: Store(NoConfig) rows -> u64 = 0;

    /// A store whose author misspelt `stream`.
    #[mlx_plugin(type = Store, conflicts_with = ["streem"])]
    Careless: Store(NoConfig) rows -> u64 = 0;

    /// Runs in a file.
    #[mlx_plugin(type = Ledger)]
    Paper: Ledger(LedgerConfig) runs -> u64 = 0;

    /// Runs in another file.
    #[mlx_plugin(type = Ledger)]
    Stone: Ledger(LedgerConfig) runs -> u64 = 0;

    /// The way into a region.
    #[mlx_plugin(type = Gateway)]
    Edge: Gateway(GatewayConfig) region -> String = String::new();

    /// Runs on no machine of today.
    #[mlx_plugin(type = Stage, platforms = ["haiku"])]
    Relic: Stage(NoConfig) run -> () = ();

    /// Needs the archive by name.
    #[mlx_plugin(type = Stage, requires = ["archive"])]
    Restore: Stage(NoConfig) run -> () = ();

    /// Needs an archive that is newer than there is.
    #[mlx_plugin(type = Stage, requires = ["archive@^2"])]
    Rewrite: Stage(NoConfig) run -> () = ();

    /// Needs any ledger.
    #[mlx_plugin(type = Stage, requires = ["type:ledger"])]
    Audit: Stage(NoConfig) run -> () = ();

    /// Needs something that speaks SQL.
    #[mlx_plugin(type = Stage, requires = ["capability:sql"])]
    Report: Stage(NoConfig) run -> () = ();

    /// Needs something that is not in this program.
    #[mlx_plugin(type = Stage, requires = ["telescope"])]
    Observe: Stage(NoConfig) run -> () = ();

    /// Needs what needs it.
    #[mlx_plugin(type = Stage, requires = ["egg"])]
    Hen: Stage(NoConfig) run -> () = ();

    /// Needs what needs it.
    #[mlx_plugin(type = Stage, requires = ["hen"])]
    Egg: Stage(NoConfig) run -> () = ();

    /// Needs spring, which needs autumn, which needs this.
    #[mlx_plugin(type = Stage, requires = ["spring"])]
    Summer: Stage(NoConfig) run -> () = ();

    /// The second of three.
    #[mlx_plugin(type = Stage, requires = ["autumn"])]
    Spring: Stage(NoConfig) run -> () = ();

    /// The third of three.
    #[mlx_plugin(type = Stage, requires = ["summer"])]
    Autumn: Stage(NoConfig) run -> () = ();

    /// Needs a troubled plugin.
    #[mlx_plugin(type = Stage, requires = ["troubled"])]
    Dependent: Stage(NoConfig) run -> () = ();

    /// Two plugins of different types may have one name.
    #[mlx_plugin(type = Stage, name = "paper")]
    PaperStage: Stage(NoConfig) run -> () = ();
}

/// Fails, panics or hangs as it is told.
#[mlx_plugin(type = Stage)]
pub struct Troubled {
    stop: Option<Trouble>,
}

impl Trouble {
    async fn act(self, doing: &str) -> Result<()> {
        match self {
            Trouble::Fail => Err(Error::unavailable(format!("no {doing} today"))),
            Trouble::Panic => panic!("{doing} went wrong"),
            Trouble::Hang => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Plugin for Troubled {
    type Config = TroubledConfig;

    async fn initialize(config: TroubledConfig, _: &InitContext) -> Result<Self> {
        if let Some(trouble) = config.start {
            trouble.act("start").await?;
        }
        Ok(Troubled { stop: config.stop })
    }

    async fn shutdown(&self) -> Result<()> {
        match self.stop {
            Some(trouble) => trouble.act("stop").await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Stage for Troubled {
    async fn run(&self) -> Result<()> {
        Ok(())
    }
}

/// A vault's settings.
#[derive(PluginConfig)]
pub struct VaultConfig {
    /// What it keeps.
    #[config(default)]
    pub secrets: BTreeMap<String, Secret<String>>,
}

/// Keeps secrets.
#[mlx_plugin(type = "security")]
pub struct Vault {
    secrets: BTreeMap<String, Secret<String>>,
}

#[async_trait]
impl Plugin for Vault {
    type Config = VaultConfig;

    async fn initialize(config: VaultConfig, _: &InitContext) -> Result<Self> {
        Ok(Vault { secrets: config.secrets })
    }
}

#[async_trait]
impl Security for Vault {
    async fn authenticate(&self, _: Credential) -> Result<Principal> {
        Err(Error::denied("nobody is known"))
    }
    async fn authorize(&self, _: Principal, _: &str, _: &str) -> Result<bool> {
        Ok(false)
    }
    async fn secret(&self, key: &str) -> Result<Secret<String>> {
        self.secrets.get(key).cloned().ok_or_else(|| Error::not_found(format!("there is no secret `{key}`")))
    }
}

/// The variables and files that the compositions refer to; the program's own play no part.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings;

impl Variables for Surroundings {
    fn env(&self, name: &str) -> Option<String> {
        let value = match name {
            "HOST" => "warehouse.example",
            "PORT" => "5433",
            "WORD" => "many",
            "SECRET" => "correct-horse",
            "SHORT_SECRET" => "horse",
            "EMPTY" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        match path.to_str() {
            Some("/run/secrets/token") => Ok("correct-horse-battery\n".to_owned()),
            Some("/run/secrets/denied") => Err(std::io::ErrorKind::PermissionDenied.into()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}
