//! Model registries.

#[cfg(feature = "model-registry-local")]
pub mod local;
