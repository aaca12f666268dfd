//! What programs that learn from tables need again and again: [filters](filter), [splits](split),
//! [metrics] and [batches](batch).

pub mod batch;
pub mod filter;
pub mod metrics;
pub mod split;
