//! Experiment trackers.

#[cfg(feature = "experiment-tracker-jsonl")]
pub mod jsonl;
#[cfg(feature = "experiment-tracker-local")]
pub mod local;
#[cfg(feature = "experiment-tracker-mlflow")]
pub mod mlflow;

#[cfg(any(feature = "experiment-tracker-jsonl", feature = "experiment-tracker-local"))]
mod artifacts;
#[cfg(any(feature = "experiment-tracker-jsonl", feature = "experiment-tracker-local"))]
mod record;
#[cfg(any(feature = "experiment-tracker-jsonl", feature = "experiment-tracker-local"))]
#[cfg(test)]
mod suite;
