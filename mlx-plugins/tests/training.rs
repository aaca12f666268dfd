//! Trainer, job platform and model server together, as a composition starts them.
#![cfg(all(feature = "ml-trainer-smartcore", feature = "ml-platform-local", feature = "model-server-local"))]

use mlx_core::{
    arrow::array::{ArrayRef, Float64Array, StringArray},
    prelude::*,
};
use std::sync::Arc;

mlx_core::link!(mlx_plugins);

const COMPOSITION: &str = "
plugins:
  - type: ml_platform
    name: local
    id: jobs
    config: {workers: 2}
  - type: ml_trainer
    name: smartcore
    config: {alpha: 0.5}
  - type: model_server
    name: local
    id: models
";

fn table() -> Result<DataFrame> {
    let x: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let label: ArrayRef = Arc::new(StringArray::from(vec!["low", "low", "low", "high", "high", "high"]));
    DataFrame::from_columns([("x", x), ("label", label)])
}

#[tokio::test]
async fn a_model_is_trained_as_a_job_measured_and_served() -> Result<()> {
    let platform = registry().activate(Composition::from_yaml(COMPOSITION)?).await?;
    let jobs = platform.get_default::<dyn MlPlatform>()?;
    let server = platform.get::<dyn ModelServer>("models")?;
    let trainer = platform.get::<dyn MlTrainer>("smartcore")?;

    let job = TrainingJob::new("levels", TrainingRequest::new(table()?, "label").positive("high")).trainer("smartcore");
    let id = jobs.submit(job).await?;
    let trained = jobs.result(&id).await?;
    assert_eq!(trained.parameters["alpha"], 0.5);
    assert_eq!(trained.metrics["train_accuracy"], 1.0);

    let evaluation = trainer.evaluate(trained.model.clone(), table()?).await?;
    assert_eq!(evaluation.confusion, [[3, 0], [0, 3]]);
    server.load("levels", trained.model).await?;
    let answer = server.predict("levels", table()?.select(["x"])?).await?;
    assert_eq!(answer.string_column("prediction")?, table()?.string_column("label")?);
    assert_eq!(answer.column_names().nth(1), Some("probability_high"));

    let bad = jobs.submit(TrainingJob::new("bad", TrainingRequest::new(table()?, "labels"))).await?;
    let error = jobs.result(&bad).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("did you mean `label`?"), "{error}");

    platform.shutdown().await?;
    assert_eq!(jobs.status(&id).await.unwrap_err().kind(), ErrorKind::Stopped);
    Ok(())
}

#[tokio::test]
async fn settings_out_of_range_are_reported_together() {
    let text = COMPOSITION.replace("workers: 2", "workers: 0").replace("alpha: 0.5", "alpha: -1, algorithm: ridge");
    let error = registry().activate(Composition::from_yaml(&text).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let report = format!("{error:?}");
    for part in ["workers", "alpha", "`ridge_regression`"] {
        assert!(report.contains(part), "`{part}` is not in:\n{report}");
    }
}

#[tokio::test]
async fn jobs_need_a_trainer() {
    let only = "plugins: [{type: ml_platform, name: local}]";
    let error = registry().activate(Composition::from_yaml(only).unwrap()).await.unwrap_err();
    assert!(format!("{error:?}").contains("ml_trainer"), "{error:?}");
}
