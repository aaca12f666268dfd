//! The training workflow: data source, data processor, trainer, experiment tracker, model registry.

use crate::platform::utilities::split::{self, Split};
use mlx_core::{plugin::PluginKind, prelude::*};
use std::collections::BTreeMap;

/// The other plugins that the workflow goes through. Only the data source is needed, and only when
/// the rows are not given.
pub struct Stages {
    source: Option<Handle<dyn DataSource>>,
    processor: Option<Handle<dyn DataProcessor>>,
    tracker: Option<Handle<dyn ExperimentTracker>>,
    registry: Option<Handle<dyn ModelRegistry>>,
}

/// What to train.
#[derive(Clone, Debug)]
pub struct Job {
    /// What the data source is asked for.
    pub query: String,
    /// The column to predict.
    pub target: String,
    /// The share of rows that is kept for the test.
    pub test_share: f64,
    /// Decides which rows those are.
    pub seed: u64,
    /// The experiment that the run is tracked in.
    pub experiment: String,
    /// The name that the model is registered as.
    pub model: String,
    /// The alias that then points at it.
    pub alias: String,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The model.
    pub trained: TrainedModel,
    /// How good it is on rows that it has not seen.
    pub evaluation: Evaluation,
    /// The id of the tracked run.
    pub run: Option<String>,
    /// The version in the registry.
    pub version: Option<u64>,
}

impl Stages {
    /// The default plugin of each type, where there is one.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) where there are several of a type, and none is the default.
    pub fn find(cx: &InitContext) -> Result<Self> {
        Ok(Stages {
            source: optional(cx)?,
            processor: optional(cx)?,
            tracker: optional(cx)?,
            registry: optional(cx)?,
        })
    }

    /// Runs the workflow. `data` replaces what the data source would be asked for.
    ///
    /// # Errors
    /// What the first stage that fails reports; the tracked run has failed then.
    pub async fn run(
        &self,
        trainer: &dyn MlTrainer,
        job: &Job,
        data: Option<DataFrame>,
    ) -> Result<Outcome> {
        let data = match (data, &self.source) {
            (Some(data), _) => data,
            (None, Some(source)) => source.query(&job.query).await.context("loading the rows")?,
            (None, None) => {
                return Err(Error::not_found(
                    "there are no rows to learn from: add a data source",
                ));
            }
        };
        let data = self.prepare(data).await?;
        let Some(tracker) = &self.tracker else {
            return self.fit(trainer, job, data, None).await;
        };
        let run = tracker
            .start_run(NewRun::new(&job.experiment, &job.model))
            .await
            .context("tracking")?;
        let outcome = self.fit(trainer, job, data, Some(&run.id)).await;
        let status = if outcome.is_ok() {
            RunStatus::Finished
        } else {
            RunStatus::Failed
        };
        let ended = tracker.end_run(&run.id, status).await.context("tracking");
        // What the training reports says more than what the tracker does.
        let outcome = outcome?;
        ended?;
        Ok(outcome)
    }

    async fn prepare(&self, data: DataFrame) -> Result<DataFrame> {
        let Some(processor) = &self.processor else {
            return Ok(data);
        };
        let report = processor
            .validate_schema(data.clone())
            .await
            .context("checking the rows")?;
        if !report.is_valid() {
            let found: Vec<String> = report
                .violations
                .iter()
                .map(|violation| format!("{}: {}", violation.column, violation.message))
                .collect();
            return Err(Error::invalid(format!(
                "the rows are not as expected: {}",
                found.join("; ")
            )));
        }
        processor
            .process_data(data)
            .await
            .context("preparing the rows")
    }

    async fn fit(
        &self,
        trainer: &dyn MlTrainer,
        job: &Job,
        data: DataFrame,
        run: Option<&str>,
    ) -> Result<Outcome> {
        let is_number = data.column(&job.target)?.data_type().is_floating();
        let Split { train, test } = match is_number {
            true => split::train_test(&data, job.test_share, job.seed)?,
            false => split::stratified(&data, &job.target, job.test_share, job.seed)?,
        };
        let trained = trainer
            .train(TrainingRequest::new(train, &job.target))
            .await
            .context("training")?;
        let evaluation = trainer
            .evaluate(trained.model.clone(), test)
            .await
            .context("evaluating")?;
        if let (Some(tracker), Some(run)) = (&self.tracker, run) {
            track(tracker, run, &trained, &evaluation)
                .await
                .context("tracking")?;
        }
        let version = match &self.registry {
            Some(registry) => {
                let mut entry = ModelEntry::new(&job.model, trained.model.clone())
                    .metrics(evaluation.metrics.clone());
                entry.run_id = run.map(str::to_owned);
                let version = registry
                    .register(entry)
                    .await
                    .context("registering the model")?
                    .version;
                registry.set_alias(&job.model, &job.alias, version).await?;
                Some(version)
            }
            None => None,
        };
        Ok(Outcome {
            trained,
            evaluation,
            run: run.map(str::to_owned),
            version,
        })
    }
}

async fn track(
    tracker: &Handle<dyn ExperimentTracker>,
    run: &str,
    trained: &TrainedModel,
    evaluation: &Evaluation,
) -> Result<()> {
    let parameters: BTreeMap<String, String> = trained
        .parameters
        .iter()
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect();
    tracker.log_params(run, parameters).await?;
    let tested = evaluation
        .metrics
        .iter()
        .map(|(name, value)| (format!("test_{name}"), *value));
    let metrics = trained
        .metrics
        .iter()
        .map(|(name, value)| (name.clone(), *value))
        .chain(tested);
    tracker
        .log_metrics(
            run,
            metrics
                .map(|(name, value)| Metric::new(name, value))
                .collect(),
        )
        .await
}

fn optional<C: ?Sized + PluginKind>(cx: &InitContext) -> Result<Option<Handle<C>>> {
    match cx.get_all::<C>()?.is_empty() {
        true => Ok(None),
        false => cx.get_default::<C>().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::{
        Standalone,
        arrow::array::{ArrayRef, Float64Array, StringArray},
    };
    use mlx_plugins::ml_trainer::smartcore::Smartcore;
    use std::{
        sync::{Arc, Mutex, PoisonError},
        time::SystemTime,
    };

    /// Sixty rows: `big` where x is above 30.
    #[mlx_plugin(type = "data_source", name = "test-rows")]
    struct Rows;

    #[async_trait]
    impl Plugin for Rows {
        type Config = NoConfig;

        async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
            Ok(Rows)
        }
    }

    #[async_trait]
    impl DataSource for Rows {
        async fn connect(&self) -> Result<ConnectionInfo> {
            Ok(ConnectionInfo::default())
        }

        async fn query(&self, sql: &str) -> Result<DataFrame> {
            if sql != "rows" {
                return Err(Error::invalid("there are `rows` only"));
            }
            let x: Vec<f64> = (0..60).map(f64::from).collect();
            let labels = x.iter().map(|x| if *x > 30.0 { "big" } else { "small" });
            let labels: ArrayRef = Arc::new(StringArray::from_iter_values(labels));
            DataFrame::from_columns([
                ("x", Arc::new(Float64Array::from(x)) as ArrayRef),
                ("label", labels),
            ])
        }
    }

    /// Writes down what is registered.
    #[mlx_plugin(type = "model_registry", name = "test-models")]
    #[derive(Default)]
    struct Models(Mutex<Vec<String>>);

    impl Models {
        fn note(&self, what: String) -> u64 {
            let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            notes.push(what);
            notes.len() as u64
        }
    }

    #[async_trait]
    impl Plugin for Models {
        type Config = NoConfig;

        async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
            Ok(Models::default())
        }
    }

    #[async_trait]
    impl ModelRegistry for Models {
        async fn register(&self, entry: ModelEntry) -> Result<ModelVersion> {
            let version = self.note(entry.name.clone());
            Ok(ModelVersion::new(
                entry.name,
                version,
                SystemTime::now(),
                "",
            ))
        }

        async fn version(&self, name: &str, _: VersionRef) -> Result<ModelVersion> {
            Err(Error::not_found(name))
        }

        async fn load(&self, name: &str, _: VersionRef) -> Result<Model> {
            Err(Error::not_found(name))
        }

        async fn models(&self) -> Result<Vec<String>> {
            let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(notes.clone())
        }

        async fn versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
            Err(Error::not_found(name))
        }

        async fn set_alias(&self, name: &str, alias: &str, version: u64) -> Result<()> {
            self.note(format!("{alias} is {name} {version}"));
            Ok(())
        }

        async fn delete_version(&self, name: &str, _: u64) -> Result<()> {
            Err(Error::not_found(name))
        }
    }

    fn job() -> Job {
        Job {
            query: "rows".to_owned(),
            target: "label".to_owned(),
            test_share: 0.25,
            seed: 1,
            experiment: "sizes".to_owned(),
            model: "size".to_owned(),
            alias: "candidate".to_owned(),
        }
    }

    async fn trainer() -> Result<Smartcore> {
        let config = mlx_core::config::from_json(json!({}))
            .map_err(|found| Error::from_diagnostics("the settings", found))?;
        Smartcore::initialize(config, &InitContext::alone("trainer")).await
    }

    async fn source() -> Result<Standalone<dyn DataSource>> {
        registry().create("test-rows", json!({})).await
    }

    #[test]
    fn rows_become_a_registered_model() -> Result<()> {
        mlx_core::block_on(async {
            let source = source().await?;
            let models = registry()
                .create::<dyn ModelRegistry>("test-models", json!({}))
                .await?;
            let stages = Stages {
                source: Some(source.handle()),
                processor: None,
                tracker: None,
                registry: Some(models.handle()),
            };
            let outcome = stages.run(&trainer().await?, &job(), None).await?;
            assert_eq!((outcome.version, outcome.evaluation.rows), (Some(1), 15));
            assert!(outcome.evaluation.metrics["accuracy"] > 0.85);
            assert_eq!(models.models().await?, ["size", "candidate is size 1"]);
            models.shutdown().await?;
            source.shutdown().await
        })
    }

    #[test]
    fn a_stage_that_fails_says_which_one_it_is() -> Result<()> {
        mlx_core::block_on(async {
            let source = source().await?;
            let stages = Stages {
                source: Some(source.handle()),
                processor: None,
                tracker: None,
                registry: None,
            };
            let wrong = Job {
                query: "row".to_owned(),
                ..job()
            };
            let error = stages
                .run(&trainer().await?, &wrong, None)
                .await
                .unwrap_err();
            assert!(error.to_string().contains("loading the rows"), "{error}");
            source.shutdown().await
        })
    }
}
