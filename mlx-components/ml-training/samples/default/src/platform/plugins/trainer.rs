//! `trainer`: logistic and ridge regression, with the penalty chosen by cross-validation.
//!
//! Executed as a job, or as a step of a pipeline, it runs the whole training workflow: it asks the
//! data source for rows (or takes those that a step before delivered), has them checked and prepared
//! by the data processor, keeps some for a test, trains, measures, tracks the run and registers the
//! model. What the platform does not have is left out. `query`, `target` and `model` of the input
//! replace those of the settings.

use crate::platform::training::{
    search,
    workflow::{Job, Stages},
};
use mlx_components::services::{MlTraining, MlTrainingAlgorithm};
use mlx_core::prelude::*;
use mlx_plugins::ml_trainer::smartcore::{self, Algorithm, SmartcoreConfig};

/// Settings of the trainer.
#[derive(PluginConfig)]
pub struct TrainerConfig {
    /// algorithm, query, target, test_share, folds, alpha, seed, experiment, model_name, alias.
    #[config(extends)]
    pub base: MlTraining,
    /// Whether features are scaled to mean 0 and standard deviation 1 before the fit.
    #[config(default = true)]
    pub standardize: bool,
}

/// Logistic and ridge regression, with the penalty chosen by cross-validation.
#[mlx_plugin(
    type = "ml_trainer",
    name = "trainer",
    capabilities = ["classification", "regression", "evaluation"],
    optional = [
        "type:data_source",
        "type:data_processor",
        "type:experiment_tracker",
        "type:model_registry",
    ]
)]
pub struct Trainer {
    trainer: smartcore::Smartcore,
    /// The other plugins are looked up when a job begins.
    cx: InitContext,
    job: Job,
    folds: usize,
}

#[async_trait]
impl Plugin for Trainer {
    type Config = TrainerConfig;

    async fn initialize(config: TrainerConfig, cx: &InitContext) -> Result<Self> {
        let TrainerConfig { base, standardize } = config;
        let algorithm = match base.algorithm {
            MlTrainingAlgorithm::LogisticRegression => Algorithm::LogisticRegression,
            MlTrainingAlgorithm::RidgeRegression => Algorithm::RidgeRegression,
        };
        let settings = SmartcoreConfig {
            algorithm,
            alpha: base.alpha,
            standardize,
        };
        Ok(Trainer {
            trainer: smartcore::Smartcore::initialize(settings, cx).await?,
            cx: cx.clone(),
            job: Job {
                query: base.query,
                target: base.target,
                test_share: base.test_share,
                seed: u64::from(base.seed),
                experiment: base.experiment,
                model: base.model_name,
                alias: base.alias,
            },
            folds: usize::from(base.folds),
        })
    }

    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        let mut job = self.job.clone();
        for (key, value) in [
            ("query", &mut job.query),
            ("target", &mut job.target),
            ("model", &mut job.model),
        ] {
            if let Some(given) = cx.input().get(key).and_then(JsonValue::as_str) {
                *value = given.to_owned();
            }
        }
        let rows = cx.data::<DataFrame>().ok().cloned();
        let outcome = Stages::find(&self.cx)?.run(self, &job, rows).await?;
        let mut result = ComponentResult::success().output("model", job.model);
        if let Some(version) = outcome.version {
            result = result.output("version", version);
        }
        if let Some(run) = outcome.run {
            result = result.output("run", run);
        }
        result.metrics = outcome.evaluation.metrics;
        Ok(result.with_data(outcome.trained.model))
    }
}

#[async_trait]
impl MlTrainer for Trainer {
    async fn train(&self, request: TrainingRequest) -> Result<TrainedModel> {
        if self.folds == 0 || request.parameters.contains_key("alpha") {
            return self.trainer.train(request).await;
        }
        let chosen =
            search::choose_alpha(&self.trainer, &request, self.folds, self.job.seed).await?;
        let mut trained = self
            .trainer
            .train(request.parameter("alpha", chosen.alpha))
            .await?;
        trained
            .metrics
            .insert("cross_validation_score".to_owned(), chosen.score);
        Ok(trained)
    }

    async fn evaluate(&self, model: Model, data: DataFrame) -> Result<Evaluation> {
        self.trainer.evaluate(model, data).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::training::search::GRID;
    use mlx_core::arrow::array::{ArrayRef, Float64Array, StringArray};
    use std::sync::Arc;

    async fn start(config: JsonValue) -> Result<Trainer> {
        let config = mlx_core::config::from_json(config)
            .map_err(|found| Error::from_diagnostics("the settings", found))?;
        Trainer::initialize(config, &InitContext::alone("trainer")).await
    }

    /// Two clouds that overlap a little: `big` where x + y is above 20.
    fn rows() -> Result<DataFrame> {
        let x: Vec<f64> = (0..120).map(|row| f64::from(row % 12)).collect();
        let y: Vec<f64> = (0..120).map(|row| f64::from(row * 7 % 23)).collect();
        let labels = x
            .iter()
            .zip(&y)
            .map(|(x, y)| if x + y > 20.0 { "big" } else { "small" });
        let labels: ArrayRef = Arc::new(StringArray::from_iter_values(labels));
        DataFrame::from_columns([
            ("x", Arc::new(Float64Array::from(x)) as ArrayRef),
            ("y", Arc::new(Float64Array::from(y))),
            ("label", labels),
        ])
    }

    #[test]
    fn the_penalty_is_chosen_by_cross_validation() -> Result<()> {
        mlx_core::block_on(async {
            let trainer = start(json!({"folds": 4})).await?;
            let trained = trainer
                .train(TrainingRequest::new(rows()?, "label"))
                .await?;
            let alpha = trained.parameters["alpha"].as_f64().context("a number")?;
            assert!(GRID.contains(&alpha), "{alpha}");
            assert!(trained.metrics.contains_key("cross_validation_score"));
            let fixed = TrainingRequest::new(rows()?, "label").parameter("alpha", 3.0);
            assert_eq!(trainer.train(fixed).await?.parameters["alpha"], json!(3.0));
            Ok(())
        })
    }

    #[test]
    fn a_job_trains_on_the_rows_that_it_is_given() -> Result<()> {
        mlx_core::block_on(async {
            let trainer = start(json!({"folds": 3, "model_name": "size"})).await?;
            let result = trainer
                .execute(&ExecutionContext::new().with_data(rows()?))
                .await?;
            assert!(result.metrics["accuracy"] > 0.85, "{:?}", result.metrics);
            assert_eq!(result.outputs["model"], "size");
            Ok(())
        })
    }

    #[test]
    fn without_rows_there_is_nothing_to_learn_from() -> Result<()> {
        mlx_core::block_on(async {
            let error = start(json!({}))
                .await?
                .execute(&ExecutionContext::new())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            Ok(())
        })
    }

    #[test]
    fn a_regression_is_measured_as_one() -> Result<()> {
        mlx_core::block_on(async {
            let config = json!({"algorithm": "ridge_regression", "target": "y"});
            let data = rows()?.select(["x", "y"])?;
            let trainer = start(config).await?;
            let result = trainer
                .execute(&ExecutionContext::new().with_data(data))
                .await?;
            assert!(result.metrics.contains_key("rmse"), "{:?}", result.metrics);
            Ok(())
        })
    }
}
