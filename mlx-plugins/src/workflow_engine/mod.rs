//! Workflow engines.

#[cfg(feature = "workflow-engine-local")]
pub mod local;

#[cfg(feature = "workflow-engine-local")]
#[cfg(test)]
mod tests;
