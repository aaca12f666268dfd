//! Monitoring.

#[cfg(feature = "monitoring-prometheus")]
pub mod prometheus;
