//! The library behind the `mlx` command: components of a catalogue become Rust code in a project, and stay updatable.
//!
//! ```text
//! Request ──generate──▶ Tree ──▶ Plan ──apply──▶ project
//! ```
//!
//! A [`Tree`](project::Tree) is what a project would be: it reads the files of the project, and keeps changes in memory.
//! It becomes a [`Plan`](plan::Plan), one value that is shown, stored as JSON, and [applied](apply::apply) as a
//! transaction.
#![forbid(unsafe_code)]

pub mod apply;
pub mod generate;
pub mod manifest;
pub mod merge;
pub mod plan;
pub mod plugins_json;
mod position;
pub mod project;
pub mod region;
pub mod remove;
pub mod status;
pub mod update;
