//! ML platforms.

#[cfg(feature = "ml-platform-local")]
pub mod local;
