//! Experiment trackers.

#[cfg(feature = "experiment-tracker-local")]
pub mod local;
#[cfg(feature = "experiment-tracker-jsonl")]
pub mod jsonl;
