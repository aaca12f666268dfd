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

/// Settings of data sources.
pub mod data_sources {
    mlx_core::component_config!("data-sources/bigquery/component.json");
    mlx_core::component_config!("data-sources/files/component.json");
    mlx_core::component_config!("data-sources/postgres/component.json");
    mlx_core::component_config!("data-sources/snowflake/component.json");
    mlx_core::component_config!("data-sources/sqlite/component.json");
}

/// Settings of experiment trackers.
pub mod experiment_trackers {
    mlx_core::component_config!("experiment-trackers/jsonl/component.json");
    mlx_core::component_config!("experiment-trackers/local/component.json");
    mlx_core::component_config!("experiment-trackers/mlflow/component.json");
    mlx_core::component_config!("experiment-trackers/wandb/component.json");
}

/// Settings of providers of language models.
pub mod llm_providers {
    mlx_core::component_config!("llm-providers/anthropic/component.json");
    mlx_core::component_config!("llm-providers/openai/component.json");
    mlx_core::component_config!("llm-providers/scripted/component.json");
}

/// Settings of ML platforms.
pub mod ml_platforms {
    mlx_core::component_config!("ml-platforms/databricks/component.json");
    mlx_core::component_config!("ml-platforms/local/component.json");
    mlx_core::component_config!("ml-platforms/outerbounds/component.json");
    mlx_core::component_config!("ml-platforms/sagemaker/component.json");
}

/// Settings of model registries.
pub mod model_registries {
    mlx_core::component_config!("model-registries/local/component.json");
    mlx_core::component_config!("model-registries/mlflow/component.json");
}

/// Settings of vector databases.
pub mod vector_databases {
    mlx_core::component_config!("vector-databases/local/component.json");
    mlx_core::component_config!("vector-databases/pgvector/component.json");
    mlx_core::component_config!("vector-databases/qdrant/component.json");
}

/// Settings of the components that make services.
pub mod services {
    mlx_core::component_config!("api-serving/component.json");
    mlx_core::component_config!("config-management/component.json");
    mlx_core::component_config!("data-processing/component.json");
    mlx_core::component_config!("ml-training/component.json");
    mlx_core::component_config!("model-serving/component.json");
    mlx_core::component_config!("monitoring/component.json");
    mlx_core::component_config!("security/component.json");
    mlx_core::component_config!("workflow-orchestration/component.json");
}

/// Settings of data processors.
pub mod data_processing {
    mlx_core::component_config!("data-processing/dataframe/component.json");
    mlx_core::component_config!("data-processing/spark/component.json");
}
