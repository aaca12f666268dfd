//! The catalogue of MLX components.
//!
//! A component is a versioned template with a config schema. The settings that a component declares in its
//! `component.json` are Rust types here, and a plugin inherits them with `#[config(extends)]`:
//!
//! ```
//! use mlx_core::prelude::*;
//!
//! /// Settings of a Snowflake warehouse.
//! #[derive(PluginConfig)]
//! pub struct SnowflakeConfig {
//!     /// account, user, password, warehouse, database, schema.
//!     #[config(extends)]
//!     pub base: mlx_components::data_sources::Snowflake,
//!     /// Connections kept open.
//!     #[config(default = 5, range(1..=64))]
//!     pub connection_pool_size: u32,
//! }
//!
//! let config: SnowflakeConfig = mlx_core::config::from_json(json!({
//!     "account": "myorg-account123", "user": "ada", "password": "secret", "database": "SALES",
//! }))
//! .unwrap();
//! assert_eq!(config.base.warehouse, "COMPUTE_WH");
//! assert_eq!(format!("{:?}", config.base.password), "[redacted]");
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "catalogue")]
pub mod catalogue;
pub mod compositions;

// A module for each section of the catalogue, with a type for each component that has settings.
include!(concat!(env!("OUT_DIR"), "/settings.rs"));
