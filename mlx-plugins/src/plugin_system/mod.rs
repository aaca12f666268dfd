//! Plugin systems.

#[cfg(feature = "plugin-system-local")]
pub mod local;
