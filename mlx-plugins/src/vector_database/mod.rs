//! Vector databases.

#[cfg(feature = "vector-database-local")]
pub mod local;
