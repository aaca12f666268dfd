//! Real plugins for `mlx-core`, one folder and one cargo feature each.
//!
//! The default features are the embedded plugins: they need no server and no account.
#![forbid(unsafe_code)]

pub mod configuration;
pub mod data_processor;
pub mod data_source;
pub mod experiment_tracker;
pub mod feature_store;
#[cfg(feature = "_http")]
#[allow(dead_code, unused_imports)] // each plugin uses its part, and not every build has every plugin
pub mod http;
pub mod llm_provider;
pub mod ml_platform;
pub mod ml_trainer;
#[cfg(feature = "_mlflow")]
#[allow(dead_code, unused_imports)] // each plugin uses its part, and not every build has every plugin
pub mod mlflow;
pub mod model_registry;
pub mod model_server;
pub mod monitoring;
pub mod plugin_system;
pub mod security;
pub mod serving_platform;
pub mod vector_database;
pub mod workflow_engine;

#[cfg(feature = "_linear-model")]
mod linear_model;
#[cfg(test)]
mod pages;
#[cfg(any(feature = "_storage", feature = "_mlflow", feature = "data-source-snowflake"))]
#[allow(dead_code, unused_imports)] // each plugin uses its part, and not every build has every plugin
mod random;
#[cfg(feature = "_sqlite-arrow")]
mod sqlite_arrow;
#[cfg(feature = "_storage")]
#[allow(dead_code, unused_imports)] // each plugin uses its part, and not every build has every plugin
mod storage;
