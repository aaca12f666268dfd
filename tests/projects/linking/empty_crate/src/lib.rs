//! A crate without a plugin.
