//! Alerts on what is measured.

pub mod alerts;
