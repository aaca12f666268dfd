//! Logistic and ridge regression, fitted by the [smartcore](https://docs.rs/smartcore) library in this process.
//!
//! ```yaml
//! plugins:
//!   - type: ml_trainer
//!     name: smartcore
//!     config:
//!       algorithm: logistic_regression   # or ridge_regression
//!       alpha: 1.0
//!       standardize: true
//! ```
//!
//! **Models.** Both are linear with an L2 penalty, on n rows; the intercept b is not penalised:
//!
//! | `algorithm` | target | minimises |
//! |---|---|---|
//! | `logistic_regression`, two classes | text, boolean or integer | Σᵢ \[ln(1 + exp(zᵢ)) − yᵢzᵢ\] + alpha/2 · \|w\|² |
//! | `logistic_regression`, more classes | text, boolean or integer | Σᵢ −ln softmax(zᵢ)\[yᵢ\] + alpha/2 · Σₖ\|wₖ\|² |
//! | `ridge_regression` | a number | Σᵢ (yᵢ − zᵢ)² + alpha · \|w\|² |
//!
//! The loss is a sum over rows, not a mean: it is scikit-learn's `LogisticRegression(C=1/alpha)` and
//! `Ridge(alpha=alpha)`, and the tests compare coefficients and probabilities with those.
//!
//! **Standardization.** With `standardize` each feature is replaced by (x − mean) / standard deviation; both are
//! those of the training rows, the deviation divides by n, and a constant feature is divided by 1. The model carries
//! them, so that it is given plain values when it predicts.
//!
//! **Classes**, at most 1000, are sorted: numbers by value, `false` before `true`, text by its characters. The
//! positive class of a measurement is the request's `positive`, else the second of two classes; with more classes and
//! no `positive`, `precision`, `recall`, `f1` and `roc_auc` are means over the classes, all of one weight (the last
//! one against the rest).
//!
//! **Parameters** of a request replace `algorithm`, `alpha` and `standardize`; they are checked as the file is.
//!
//! A fit that did not reach the minimum is an error, not a model. What it does not do: kernels, trees, sparse or text
//! features, weights, missing values, or stopping early: a fit that has begun runs to its end on a thread of its own,
//! even if nobody waits for it any more.

mod evaluation;
mod fit;
#[cfg(test)]
mod tests;

use crate::linear_model::{LinearModel, Matrix};
use mlx_core::{
    config::{self, ConfigValue},
    diagnostics::{Code, Diagnostic, listing, nearest},
    prelude::*,
};
use serde_json::Value;
use std::{any::Any, collections::BTreeMap};

/// Settings of the smartcore trainer.
#[derive(Clone, Debug, PartialEq, PluginConfig)]
pub struct SmartcoreConfig {
    /// What is fitted.
    #[config(default = Algorithm::LogisticRegression)]
    pub algorithm: Algorithm,
    /// The strength of the penalty on large coefficients; scikit-learn's `1/C` for a logistic regression.
    #[config(default = 1.0, range(1e-9..=1e9))]
    pub alpha: f64,
    /// Whether features are scaled to mean 0 and standard deviation 1 before the fit.
    #[config(default = true)]
    pub standardize: bool,
}

/// What is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PluginConfig)]
#[config(rename_all = "snake_case")]
pub enum Algorithm {
    /// Predicts one of two or more classes.
    LogisticRegression,
    /// Predicts a number.
    RidgeRegression,
}

impl Algorithm {
    /// The name in a file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::LogisticRegression => "logistic_regression",
            Algorithm::RidgeRegression => "ridge_regression",
        }
    }
}

/// Logistic and ridge regression in this process.
#[mlx_plugin(
    type = "ml_trainer",
    name = "smartcore",
    capabilities = ["classification", "regression", "evaluation"],
    data_formats = ["arrow"],
    stability = "beta"
)]
#[derive(Debug)]
pub struct Smartcore {
    config: SmartcoreConfig,
}

#[async_trait]
impl Plugin for Smartcore {
    type Config = SmartcoreConfig;

    async fn initialize(config: SmartcoreConfig, _: &InitContext) -> Result<Self> {
        Ok(Smartcore { config })
    }
}

#[async_trait]
impl MlTrainer for Smartcore {
    async fn train(&self, request: TrainingRequest) -> Result<TrainedModel> {
        let config = self.config.with(&request.parameters)?;
        on_thread("training", move || train(&config, &request)).await
    }

    async fn evaluate(&self, model: Model, data: DataFrame) -> Result<Evaluation> {
        on_thread("evaluating", move || {
            let linear = LinearModel::read(&model)?;
            let features = Matrix::from_table(&data, &linear.signature().features)?;
            evaluation::evaluate(&linear, model.metadata.get("positive").map(String::as_str), &features, &data)
        })
        .await
    }
}

impl SmartcoreConfig {
    /// These settings with others in their place, read by the rules of the file.
    fn with(&self, parameters: &BTreeMap<String, Value>) -> Result<Self> {
        let mut found = Vec::new();
        let mut settings = self.write();
        if let Value::Object(settings) = &mut settings {
            for (name, value) in parameters {
                match settings.get_mut(name) {
                    Some(setting) => *setting = value.clone(),
                    None => found.push(unknown(name, settings.keys().map(String::as_str))),
                }
            }
        }
        // What is wrong with the known ones is reported beside the unknown.
        let read = config::from_json(settings);
        match read {
            Ok(config) if found.is_empty() => Ok(config),
            Ok(_) => Err(found),
            Err(more) => Err(found.into_iter().chain(more).collect()),
        }
        .map_err(|found| Error::from_diagnostics("the training's parameter list", found))
    }
}

/// The reader of settings suggests only absent ones, and here none is.
fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::UnknownField, format!("unknown parameter `{name}`"));
    match nearest(name, known.clone()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.help(format!("the parameters are {}", listing(known))),
    }
}

fn train(config: &SmartcoreConfig, request: &TrainingRequest) -> Result<TrainedModel> {
    let data = &request.data;
    let features = fit::features(request)?;
    let matrix = Matrix::from_table(data, &features)?;
    let model = match config.algorithm {
        Algorithm::LogisticRegression => fit::logistic(config, request, features, &matrix)?,
        Algorithm::RidgeRegression => fit::ridge(config, request, features, &matrix)?,
    };
    let positive = fit::positive(request, &model.signature().classes)?;
    let measured = evaluation::evaluate(&model, positive, &matrix, data)?;

    let mut notes = BTreeMap::from([
        ("trainer".to_owned(), "smartcore".to_owned()),
        ("library".to_owned(), "smartcore 0.7".to_owned()),
        ("algorithm".to_owned(), config.algorithm.as_str().to_owned()),
        ("alpha".to_owned(), config.alpha.to_string()),
        ("standardize".to_owned(), config.standardize.to_string()),
        ("rows".to_owned(), matrix.rows().to_string()),
    ]);
    notes.extend(positive.map(|class| ("positive".to_owned(), class.to_owned())));
    let mut trained = TrainedModel::new(model.write(notes)?);
    trained.metrics = measured.metrics.into_iter().map(|(name, value)| (format!("train_{name}"), value)).collect();
    if let Value::Object(settings) = config.write() {
        trained.parameters = settings.into_iter().collect();
    }
    Ok(trained)
}

/// Runs what computes on a thread for such work. smartcore panics where it does not converge, so a panic is an error
/// like others.
async fn on_thread<T: Send + 'static>(doing: &str, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => Err(Error::failed(format!("{doing} broke off: {}", message(panic.as_ref())))),
            Err(error) => Err(Error::wrap(error).context(doing)),
        },
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "it panicked without a message",
    }
}
