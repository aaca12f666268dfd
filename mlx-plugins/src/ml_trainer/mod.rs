//! Trainers.

#[cfg(feature = "ml-trainer-smartcore")]
pub mod smartcore;
