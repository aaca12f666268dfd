//! Everything that a plugin or a program usually needs: `use mlx_core::prelude::*;`.

pub use crate::contracts::*;
pub use crate::{
    BoxStream, ComponentResult, ComponentStatus, Composition, Context, Error, ErrorKind, ExecutionContext, Handle,
    Health, HealthStatus, InitContext, JsonValue, NoConfig, Pipeline, Platform, Plugin, PluginConfig, Result, Secret,
    async_trait, contract, json, mlx_plugin, registry,
};
pub use std::{path::PathBuf, time::Duration};
