//! Data sources.

#[cfg(feature = "data-source-files")]
pub mod files;
#[cfg(feature = "data-source-snowflake")]
pub mod snowflake;
#[cfg(feature = "data-source-sqlite")]
pub mod sqlite;
