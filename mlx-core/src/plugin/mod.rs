//! What a plugin is: the trait its author implements, what it says about itself, and what it is given.

mod context;
mod data;
mod events;
mod feed;
mod handover;
mod health;
mod kind;
mod lifecycle;
mod metadata;
mod result;
mod status;

pub use context::{ExecutionContext, InitContext, NoPeers, Peers};
pub use events::{EVENTS_KEPT, Events, Lagged, Subscription};
pub(crate) use feed::{Feed, next};
pub use handover::Handover;
pub use health::{Health, HealthStatus};
pub use kind::{Cardinality, KindInfo, MethodInfo, PLANNED_TYPES, PluginKind};
pub(crate) use lifecycle::instance_of;
pub use lifecycle::{Declared, Further, Lifecycle, LifecycleFuture, Plugin};
pub use metadata::{Declaration, PluginMetadata, Requirement, Resources, Stability, SwapKind};
pub use result::{ComponentResult, ComponentStatus};
pub use status::{Condition, PluginState, PluginStatus, StatusReporter};
