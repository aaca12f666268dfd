//! Security.

#[cfg(feature = "security-api-keys")]
pub mod api_keys;
