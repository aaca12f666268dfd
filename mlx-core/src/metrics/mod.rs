//! What operations take: counts, failures, and distributions of their durations.

mod histogram;
mod meter;

pub use meter::{Meter, OperationMetrics, Timer};
