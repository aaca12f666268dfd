//! From rows to a model in the model registry.

pub mod search;
pub mod workflow;
