//! How plugins speak to servers over HTTP: one client a plugin, with a pool of connections, deadlines, retries,
//! authentication and typed errors.
//!
//! A plugin puts [`HttpConfig`] into its settings with `#[config(extends)]`, makes a client of it when it starts, and
//! describes each call as a request. What the client promises to all of them:
//!
//! - A call ends within [`deadline`](HttpConfig::deadline), retries included. Dropping its future ends it at once.
//! - A call that says it is idempotent is repeated: after a failure to connect, a connection that broke, and the
//!   status codes 429, 502, 503 and 504. Others are not, or only where the server has certainly not begun. The pauses are
//!   those of [`Retry`], and never shorter than the server's `Retry-After` (RFC 9110, section 10.2.3).
//! - A reply that is cut off is an error, never a shorter reply: a body is whole or not there.
//! - An error has a [`ResponseError`] as its source where the server answered, with the server's own code and the id of
//!   the request. It contains no credentials, also where the server repeats them.

mod auth;
mod client;
mod error;
mod retry;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;

pub(crate) use auth::{Authentication, Credentials, hide};
pub(crate) use client::{Client, Reply, Request};
pub use error::ResponseError;
pub(crate) use error::ServerMessage;

use mlx_core::{prelude::*, resilience::Retry};
use std::{path::PathBuf, time::Duration};

/// How a plugin speaks to its server.
#[derive(Clone, Debug, PluginConfig)]
pub struct HttpConfig {
    /// How long a call may take, all attempts together.
    #[config(default = Duration::from_secs(60), range(Duration::from_millis(1)..))]
    pub deadline: Duration,
    /// How long one attempt may wait for the server: for the connection, for the head of the reply, and between two
    /// pieces of its body.
    #[config(default = Duration::from_secs(20), range(Duration::from_millis(1)..))]
    pub timeout: Duration,
    /// How often a call that can safely be repeated is tried, and the pauses in between, unless the server asks for a longer
    /// one.
    #[config(default)]
    pub retry: Retry,
    /// A file of PEM certificates to trust beside those of the operating system, for servers with a certificate of
    /// one's own.
    pub ca_certificates: Option<PathBuf>,
}
