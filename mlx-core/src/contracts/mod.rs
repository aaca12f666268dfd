//! The built-in plugin types: for each the trait that its plugins implement, and the data they exchange.

mod configuration;
#[cfg(feature = "arrow")]
mod data_processor;
#[cfg(feature = "arrow")]
mod data_source;
#[cfg(feature = "arrow")]
mod dataframe;
mod experiment_tracker;
#[cfg(feature = "arrow")]
mod feature_store;
mod llm_provider;
#[cfg(feature = "arrow")]
mod ml_platform;
#[cfg(feature = "arrow")]
mod ml_trainer;
mod model;
mod model_registry;
#[cfg(feature = "arrow")]
mod model_server;
mod monitoring;
mod plugin_system;
mod run_search;
mod security;
mod serving_platform;
mod vector_database;
mod workflow_engine;

pub use configuration::{ConfigEntry, ConfigKey, Configuration};
#[cfg(feature = "arrow")]
pub use data_processor::{DataProcessor, SchemaReport, SchemaViolation};
#[cfg(feature = "arrow")]
pub use data_source::{ConnectionInfo, DataSource, WriteMode};
#[cfg(feature = "arrow")]
pub use dataframe::DataFrame;
pub use experiment_tracker::{Dataset, ExperimentTracker, Metric, NewRun, Run, RunStatus};
#[cfg(feature = "arrow")]
pub use feature_store::{
    EVENT_TIMESTAMP, FeatureField, FeatureRef, FeatureRequest, FeatureStore, FeatureTarget, FeatureView,
    Materialization,
};
pub use llm_provider::{
    ChatEvent, ChatFormat, ChatMessage, ChatReply, ChatRequest, ChatRole, EmbeddingRequest, Embeddings, FinishReason,
    LlmProvider, Tool, ToolCall, Usage,
};
#[cfg(feature = "arrow")]
pub use ml_platform::{JobState, JobStatus, MlPlatform, TrainingJob};
#[cfg(feature = "arrow")]
pub use ml_trainer::{Evaluation, MlTrainer, TrainedModel, TrainingRequest};
pub use model::{Model, ModelSignature};
pub use model_registry::{ModelEntry, ModelRegistry, ModelVersion, VersionRef};
#[cfg(feature = "arrow")]
pub use model_server::ModelServer;
pub use monitoring::{Measurement, MeasurementKind, Monitoring};
pub use plugin_system::{PluginInfo, PluginSystem};
pub use run_search::{Comparison, Match, RunFilter, RunKey, RunOrder, RunSearch};
pub use security::{Credential, Principal, Security};
pub use serving_platform::{Deployment, Endpoint, ServingPlatform};
pub use vector_database::{
    VectorCollection, VectorDatabase, VectorDistance, VectorFilter, VectorMatch, VectorPoint, VectorQuery,
};
pub use workflow_engine::{WorkflowEngine, WorkflowRequest, WorkflowRun};

use crate::plugin::{KindInfo, PluginKind};

/// The built-in plugin types.
pub const KINDS: &[&KindInfo] = &[
    <dyn Configuration>::INFO,
    #[cfg(feature = "arrow")]
    <dyn DataProcessor>::INFO,
    #[cfg(feature = "arrow")]
    <dyn DataSource>::INFO,
    <dyn ExperimentTracker>::INFO,
    #[cfg(feature = "arrow")]
    <dyn FeatureStore>::INFO,
    <dyn LlmProvider>::INFO,
    #[cfg(feature = "arrow")]
    <dyn MlPlatform>::INFO,
    #[cfg(feature = "arrow")]
    <dyn MlTrainer>::INFO,
    <dyn ModelRegistry>::INFO,
    #[cfg(feature = "arrow")]
    <dyn ModelServer>::INFO,
    <dyn Monitoring>::INFO,
    <dyn PluginSystem>::INFO,
    <dyn Security>::INFO,
    <dyn ServingPlatform>::INFO,
    <dyn VectorDatabase>::INFO,
    <dyn WorkflowEngine>::INFO,
];
