//! Feature stores.

#[cfg(feature = "feature-store-local")]
pub mod local;
