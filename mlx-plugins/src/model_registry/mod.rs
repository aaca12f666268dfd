//! Model registries.

#[cfg(feature = "model-registry-local")]
pub mod local;
#[cfg(feature = "model-registry-mlflow")]
pub mod mlflow;

#[cfg(any(feature = "model-registry-local", feature = "model-registry-mlflow"))]
mod record;
