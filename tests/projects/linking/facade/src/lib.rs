//! A crate that gathers plugin crates and has no plugin of its own.

pub use behind_facade;

mlx_core::link!(behind_facade);
