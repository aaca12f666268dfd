//! Cargo refuses to build it.
