//! The platform `sample`: its plugins, and what puts them together.

pub mod platform;
