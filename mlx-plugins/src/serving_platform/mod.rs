//! Serving platforms.

#[cfg(feature = "serving-platform-http")]
pub mod http;
