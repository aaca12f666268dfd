//! The file that says which plugins make up a platform, and how it becomes a [`Plan`].

mod document;
mod exclusion;
mod machine;
mod plan;
mod precedence;
mod recommend;
mod render;
mod resolve;
mod schema;

pub use document::{Composition, CompositionBuilder, OnFailure, PluginEntry, START_TIMEOUT, STOP_TIMEOUT};
pub use machine::Machine;
pub use plan::{Deferred, Excluded, LeftOut, Plan, Step};
pub use recommend::{Reason, Recommendation};
