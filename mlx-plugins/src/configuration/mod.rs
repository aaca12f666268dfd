//! Configurations.

#[cfg(feature = "configuration-files")]
pub mod files;
