//! The file that says which plugins make up a platform, and how it becomes a [`Plan`].

mod builder;
mod document;
mod effective;
mod entry;
mod environment;
mod exclusion;
mod include;
mod machine;
mod overrides;
mod plan;
mod precedence;
mod profile;
mod recommend;
mod render;
mod resolve;
mod schema;
mod start;
mod variables;

pub use builder::CompositionBuilder;
pub use document::Composition;
pub use effective::{EffectiveConfig, EffectivePlugin, Origin, Setting};
pub use entry::{OnFailure, PluginEntry, START_TIMEOUT, STOP_TIMEOUT};
pub use machine::Machine;
pub use plan::{Deferred, Excluded, LeftOut, Plan, Step};
pub use recommend::{Reason, Recommendation};
pub use start::MAX_CONCURRENT_STARTS;
