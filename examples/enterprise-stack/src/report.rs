//! What came out, to read.

use mlx_core::prelude::*;
use std::{collections::BTreeMap, fmt};

/// The results of a run.
pub(crate) struct Report {
    pub(crate) platform: String,
    pub(crate) rows: usize,
    pub(crate) split: (usize, usize),
    pub(crate) evaluation: Evaluation,
    pub(crate) run: Run,
    pub(crate) tracker: String,
    pub(crate) version: ModelVersion,
    pub(crate) url: String,
    pub(crate) actual: String,
    pub(crate) prediction: String,
    pub(crate) probabilities: BTreeMap<String, f64>,
    pub(crate) requests: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = |name: &str| self.evaluation.metrics.get(name).copied().unwrap_or(f64::NAN);
        writeln!(f, "\n{}", self.platform)?;
        writeln!(f, "{}", "=".repeat(self.platform.chars().count()))?;
        writeln!(
            f,
            "data        {} rows: {} to learn from, {} to test on (every fourth)",
            self.rows, self.split.0, self.split.1
        )?;
        writeln!(f, "accuracy    {:.6}", metric("accuracy"))?;
        writeln!(
            f,
            "precision   {:.6}   recall {:.6}   F1 {:.6}",
            metric("precision"),
            metric("recall"),
            metric("f1")
        )?;
        writeln!(f, "ROC AUC     {:.6}   log loss {:.6}", metric("roc_auc"), metric("log_loss"))?;
        writeln!(f, "            {}", self.confusion())?;
        writeln!(
            f,
            "run         {} in experiment \"{}\", tracked by {}",
            self.run.id, self.run.experiment, self.tracker
        )?;
        writeln!(
            f,
            "model       {} version {} (sha256 {}…)",
            self.version.name,
            self.version.version,
            &self.version.sha256[..12.min(self.version.sha256.len())]
        )?;
        writeln!(f, "endpoint    {}", self.url)?;
        let probabilities: Vec<String> =
            self.probabilities.iter().map(|(class, p)| format!("{class} {p:.4}")).collect();
        writeln!(
            f,
            "prediction  {} ({}); the diagnosis was {}",
            self.prediction,
            probabilities.join(", "),
            self.actual
        )?;
        writeln!(f, "served      {}", self.requests)
    }
}

impl Report {
    fn confusion(&self) -> String {
        let mut parts = Vec::new();
        for (class, row) in self.evaluation.classes.iter().zip(&self.evaluation.confusion) {
            for (predicted, count) in self.evaluation.classes.iter().zip(row) {
                parts.push(match class == predicted {
                    true => format!("{count} {class} right"),
                    false => format!("{count} {class} called {predicted}"),
                });
            }
        }
        parts.join(", ")
    }
}
