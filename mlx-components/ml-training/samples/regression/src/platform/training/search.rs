//! Which penalty fits best: cross-validation over a grid.

use crate::platform::utilities::split::{Split, k_fold, stratified_k_fold};
use mlx_core::prelude::*;

/// The penalties that are tried.
pub const GRID: [f64; 5] = [0.01, 0.1, 1.0, 10.0, 100.0];

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The penalty with the best score.
    pub alpha: f64,
    /// Its mean over the folds: minus the log loss of a classification, minus the root mean squared
    /// error of a regression. More is better.
    pub score: f64,
}

/// Fits with each penalty of [`GRID`] on all folds but one, measures on that one, and takes the best
/// mean; the larger penalty where two are as good.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for fewer rows than folds; else what the trainer reports.
pub async fn choose_alpha(
    trainer: &dyn MlTrainer,
    request: &TrainingRequest,
    folds: usize,
    seed: u64,
) -> Result<Choice> {
    // Classes that are rare have to be in every fold; the values of a number need not be.
    let data = &request.data;
    let folds = match data.column(&request.target)?.data_type().is_floating() {
        true => k_fold(data, folds, seed)?,
        false => stratified_k_fold(data, &request.target, folds, seed)?,
    };
    let mut best = Choice {
        alpha: GRID[0],
        score: f64::NEG_INFINITY,
    };
    for alpha in GRID {
        let mut total = 0.0;
        for fold in &folds {
            total += score(trainer, request, alpha, fold).await?;
        }
        #[allow(clippy::cast_precision_loss)]
        let score = total / folds.len() as f64;
        if score >= best.score {
            best = Choice { alpha, score };
        }
    }
    Ok(best)
}

async fn score(
    trainer: &dyn MlTrainer,
    request: &TrainingRequest,
    alpha: f64,
    fold: &Split,
) -> Result<f64> {
    let mut request = request.clone().parameter("alpha", alpha);
    request.data = fold.train.clone();
    let doing = || format!("trying the penalty {alpha}");
    let trained = trainer.train(request).await.with_context(doing)?;
    let measured = trainer
        .evaluate(trained.model, fold.test.clone())
        .await
        .with_context(doing)?;
    let loss = ["log_loss", "rmse"]
        .iter()
        .find_map(|name| measured.metrics.get(*name));
    Ok(-*loss.context("the trainer measures neither `log_loss` nor `rmse`")?)
}
