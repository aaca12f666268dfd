//! What stands between a caller and a plugin that may be slow, overloaded or gone: deadlines, retries, a circuit breaker,
//! limits.
//!
//! A composition chooses the policies of a plugin, whatever its contract:
//!
//! ```yaml
//! plugins:
//!   - type: data_source
//!     name: snowflake
//!     resilience:
//!       timeout: 2s
//!       retry: {max_attempts: 3}
//!       circuit_breaker: {failure_ratio: 0.5, window: 30s, open_for: 10s}
//!       rate_limit: {calls: 100, per: 1s, burst: 10}
//!       max_concurrency: 16
//! ```
//!
//! The platform attaches a [`Guard`] to the plugin's instance, and the implementation of the contract for
//! [`Handle`](crate::Handle), which [`contract`](crate::contract) writes, leads each call through it. Where there is none, a call
//! looks at one flag of the instance that it has at hand. Order, from the outside:
//!
//! ```text
//! deadline ─▶ retry ─▶ circuit breaker ─▶ concurrency ─▶ rate ─▶ timeout ─▶ the plugin
//! ```
//!
//! The limits are waited for without a lease, and each attempt takes its own: a swap does not wait for a pause, and the
//! next attempt meets the successor. Limits stay when the plugin is replaced, because what is behind it often does; a
//! circuit belongs to one instance, because what failed may just have been mended.
//!
//! `docs/resilience.md` is the page for users.

mod circuit;
mod guard;
mod pace;
mod settings;

pub use circuit::CircuitState;
pub use guard::{Counters, Guard, ResilienceMetrics, call, call_now, call_once};
pub use settings::{CircuitBreaker, RateLimit, Resilience, Retry, RetryOn};
