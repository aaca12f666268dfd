//! Tables between SQLite and Arrow, both ways, in work that a deadline can stop.
//!
//! | Arrow | declared in SQLite | read back as |
//! |---|---|---|
//! | signed and unsigned integers | `INTEGER` | `Int64` |
//! | floats, decimals | `REAL` | `Float64` |
//! | booleans | `BOOLEAN` (0, 1) | `Boolean` |
//! | text, times of day | `TEXT` | `Utf8` |
//! | binary | `BLOB` | `Binary` |
//! | dates | `DATE` (ISO 8601 text) | `Date32` |
//! | timestamps | `TIMESTAMP(n)`, n digits of a second (ISO 8601 text) | `Timestamp` of that unit |
//! | timestamps with a zone | `TIMESTAMPTZ(n)` (the same in UTC) | `Timestamp` in `+00:00` |
//! | dictionaries | as their values | as their values |
//! | `Null` | no type | `Null` |
//!
//! Decimals become `REAL`, because SQLite compares and adds text digit by digit: about 15 digits survive. NaN becomes
//! null: SQLite knows no NaN. Integers above `i64::MAX` are refused, as is every type that is not in the table.

#[cfg(feature = "data-source-sqlite")]
mod catalog;
#[cfg(any(feature = "data-source-sqlite", feature = "data-source-files"))]
mod connections;
mod deadline;
mod failure;
mod parameters;
#[cfg(any(feature = "data-source-files", feature = "data-processor-sql"))]
mod queries;
mod read;
#[cfg(test)]
mod tests;
mod types;
mod write;

#[cfg(feature = "data-source-sqlite")]
pub(crate) use catalog::{table_schema, tables};
#[cfg(any(feature = "data-source-sqlite", feature = "data-source-files"))]
pub(crate) use connections::Connections;
#[cfg(feature = "data-source-sqlite")]
pub(crate) use connections::open;
pub(crate) use deadline::{Deadline, run};
pub(crate) use failure::failure;
#[cfg(any(feature = "data-source-files", feature = "data-processor-sql"))]
pub(crate) use queries::{allow_everything, allow_queries};
pub(crate) use read::query;
pub(crate) use write::write;

/// A name as SQL: in quotes, with the quotes inside doubled, so that no name is anything but a name.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
