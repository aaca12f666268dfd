//! Programs made of interchangeable, compiled-in plugins.
//!
//! A plugin is a struct with two annotations: `#[mlx_plugin]`, which describes and registers it at link time, and a
//! `#[derive(PluginConfig)]` on its settings, which reads them from a file with every mistake reported. One
//! composition file says which plugins make up a program; [`Registry::activate`] checks all of it, starts the plugins in the
//! order of their requirements, and hands out typed handles.
//!
//! ```
//! use mlx_core::prelude::*;
//!
//! /// How to greet.
//! #[derive(PluginConfig)]
//! pub struct GreeterConfig {
//!     /// The first word.
//!     #[config(default = "Hello", length(1..=20))]
//!     pub greeting: String,
//! }
//!
//! /// Greets.
//! #[mlx_core::contract(name = "greeter", cardinality = "many")]
//! #[async_trait]
//! pub trait Greet {
//!     /// Greets somebody.
//!     async fn greet(&self, name: &str) -> Result<String>;
//! }
//!
//! /// Greets politely.
//! #[mlx_plugin(type = Greet)]
//! pub struct Polite {
//!     config: GreeterConfig,
//! }
//!
//! #[async_trait]
//! impl Plugin for Polite {
//!     type Config = GreeterConfig;
//!     async fn initialize(config: GreeterConfig, _: &InitContext) -> Result<Self> {
//!         Ok(Polite { config })
//!     }
//! }
//!
//! #[async_trait]
//! impl Greet for Polite {
//!     async fn greet(&self, name: &str) -> Result<String> {
//!         Ok(format!("{}, {name}!", self.config.greeting))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let composition = Composition::from_yaml("plugins: [{type: greeter, name: polite, config: {greeting: Good day}}]")?;
//! let platform = registry().activate(composition).await?;
//! let greeter = platform.get::<dyn Greet>("polite")?;
//! assert_eq!(greeter.greet("Ada").await?, "Good day, Ada!");
//! platform.shutdown().await
//! # }
//! ```
//!
//! The macros have a [tutorial](guide::tutorial) and a [reference](guide::reference) with every key and every rule.
//!
//! # Features
//!
//! - `arrow` (default): [`DataFrame`] and the contracts that exchange it.
//! - `toml` (default): compositions written in TOML.
//! - `signal`: run until `SIGINT` or `SIGTERM`, [`Platform::run_until_signal`](Platform).
//! - `tracing`: a `tracing` span around each step of a plugin's life and each measured call.
//! - `url`: `url::Url` as the type of a setting.
//! - `linkme`: accept plugins that are registered with `#[mlx_plugin(…, registration = "linkme")]`.
#![cfg_attr(not(feature = "linkme"), forbid(unsafe_code))]

// The macros name the crate by its own name, here as everywhere.
extern crate self as mlx_core;

pub mod composition;
pub mod config;
pub mod contracts;
pub mod diagnostics;
mod graph;
pub mod handle;
pub mod metrics;
pub mod pipeline;
pub mod platform;
pub mod plugin;
pub mod prelude;
pub mod registry;
pub mod resilience;
mod runtime;
pub mod value;

#[cfg(feature = "arrow")]
pub use arrow;
pub use async_trait::async_trait;
pub use composition::{Composition, Plan};
pub use config::{NoConfig, PluginConfig, Secret};
pub use contracts::*;
pub use diagnostics::{Context, Diagnostic, Error, ErrorKind, Result};
pub use handle::{BoxStream, Handle};
pub use mlx_macros::{PluginConfig, component_config, contract, mlx_plugin};
pub use pipeline::Pipeline;
#[cfg(all(feature = "signal", any(unix, windows)))]
pub use platform::shutdown_signal;
pub use platform::{Platform, Standalone};
pub use plugin::{
    Cardinality, ComponentResult, ComponentStatus, ExecutionContext, Health, HealthStatus, InitContext, Plugin,
    PluginKind, PluginMetadata,
};
pub use registry::{Registry, registry};
pub use runtime::block_on;
pub use serde_json::{Value as JsonValue, json};

/// Pages about the macros, about changing a running platform and about policies for calls, from `docs` of the repository.
#[cfg(doc)]
pub mod guide {
    #[doc = include_str!("../../docs/macros/tutorial.md")]
    pub mod tutorial {}
    #[doc = include_str!("../../docs/macros/reference.md")]
    pub mod reference {}
    #[doc = include_str!("../../docs/macros/gotchas.md")]
    pub mod gotchas {}
    #[doc = include_str!("../../docs/live-changes.md")]
    pub mod live_changes {}
    #[doc = include_str!("../../docs/resilience.md")]
    pub mod resilience {}
}

/// What the macros generate paths to. No part of the interface.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "linkme")]
    pub use linkme;
    pub use {async_trait, inventory, schemars, serde, serde_json};

    pub use crate::__mlx_expression as expression;

    pub type Json = serde_json::Value;
    pub type JsonMap = serde_json::Map<String, Json>;

    pub const fn or_empty(text: Option<&'static str>) -> &'static str {
        match text {
            Some(text) => text,
            None => "",
        }
    }
}

/// A user's expression, which the compiler parses here: a mistake in it is none of the code around it.
#[doc(hidden)]
#[macro_export]
macro_rules! __mlx_expression {
    ($expression:expr) => {
        $expression
    };
}
