//! wip
#![forbid(unsafe_code)]
extern crate self as mlx_core;

pub mod config;
pub mod diagnostics;
pub mod value;

pub use config::{NoConfig, PluginConfig, Secret};
pub use mlx_macros::{PluginConfig, component_config};
pub use serde_json::{Value as JsonValue, json};

/// What the macros generate paths to. No part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use {async_trait, inventory, schemars, serde, serde_json};

    pub type Json = serde_json::Value;
    pub type JsonMap = serde_json::Map<String, Json>;
}
