//! The file that says which plugins make up a platform, and how it becomes a [`Plan`].

mod document;
mod plan;
mod resolve;
mod schema;

pub use document::{Composition, CompositionBuilder, OnFailure, PluginEntry, START_TIMEOUT, STOP_TIMEOUT};
pub use plan::{Deferred, Plan, Step};
