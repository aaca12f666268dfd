//! Model servers.

#[cfg(feature = "model-server-local")]
pub mod local;
