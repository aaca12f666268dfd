//! Data processors.

#[cfg(feature = "data-processor-sql")]
pub mod sql;
