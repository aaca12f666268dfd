//! The engine from the outside: what is applied, and what is left when that is interrupted.
#![allow(clippy::unwrap_used)]

#[path = "engine/apply.rs"]
mod apply;
#[path = "engine/generate.rs"]
mod generate;
