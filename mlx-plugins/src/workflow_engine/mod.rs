//! Workflow engines.

#[cfg(feature = "workflow-engine-local")]
pub mod local;

#[cfg(all(test, feature = "workflow-engine-local"))]
mod tests;
