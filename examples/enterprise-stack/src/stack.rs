//! The work of the platform, step by step. It knows contracts, not plugins: the composition chooses those.

use crate::{progress::Progress, report::Report};
use mlx_core::prelude::*;
use std::collections::BTreeMap;

const TABLE: &str = "diagnoses";
const TARGET: &str = "diagnosis";
const MODEL: &str = "breast-cancer";

/// Every fourth row is kept for the test, so that anybody can repeat the split.
fn is_test(row: usize) -> bool {
    row % 4 == 3
}

/// Runs the whole path from the data to a served prediction.
pub(crate) async fn run(platform: &Platform) -> Result<Report> {
    let mut progress = Progress::new(10);

    let step = progress.step("load");
    let source = platform.get_default::<dyn DataSource>()?;
    let raw = source.query(&format!("select * from {TABLE}")).await.context("loading the data")?;
    step.done(&format!("{} rows, {} columns", raw.num_rows(), raw.num_columns()));

    let step = progress.step("validate the schema");
    let processor = platform.get_default::<dyn DataProcessor>()?;
    let checked = processor.validate_schema(raw.clone()).await.context("validating the data")?;
    if !checked.is_valid() {
        let violations: Vec<String> =
            checked.violations.iter().map(|v| format!("{}: {}", v.column, v.message)).collect();
        return Err(Error::invalid(format!("the data does not have the expected shape: {}", violations.join("; "))));
    }
    step.done(&format!("{} rows as expected", checked.rows));

    let step = progress.step("clean and transform");
    let data = processor.process_data(raw).await.context("transforming the data")?;
    let train = data.filter_rows(|row| !is_test(row))?;
    let test = data.filter_rows(is_test)?;
    step.done(&format!("{} rows left, {} + {}", data.num_rows(), train.num_rows(), test.num_rows()));

    let step = progress.step("train");
    let jobs = platform.get_default::<dyn MlPlatform>()?;
    let request = TrainingRequest::new(train.clone(), TARGET).positive("malignant");
    let job = jobs.submit(TrainingJob::new(MODEL, request)).await?;
    let trained = jobs.result(&job).await.context("training")?;
    let training =
        trained.metrics.get("train_accuracy").map_or(String::new(), |a| format!(", {:.4} on its own rows", a));
    step.done(&format!("{}{training}", trained.model.format));

    let step = progress.step("evaluate");
    let trainer = platform.get_default::<dyn MlTrainer>()?;
    let evaluation = trainer.evaluate(trained.model.clone(), test.clone()).await.context("evaluating")?;
    step.done(&format!("accuracy {:.4}", evaluation.metrics.get("accuracy").copied().unwrap_or(f64::NAN)));

    let step = progress.step("track");
    let tracker = platform.get_default::<dyn ExperimentTracker>()?;
    let run = track(&tracker, &trained, &evaluation).await.context("tracking")?;
    step.done(&run.id);

    let step = progress.step("register");
    let models = platform.get_default::<dyn ModelRegistry>()?;
    let entry = ModelEntry::new(MODEL, trained.model).run_id(&run.id).metrics(evaluation.metrics.clone());
    let version = models.register(entry).await.context("registering the model")?;
    models.set_alias(MODEL, "champion", version.version).await?;
    step.done(&format!("{MODEL} version {}", version.version));

    let step = progress.step("serve");
    let server = platform.get_default::<dyn ModelServer>()?;
    // From the registry, as any other server would get it.
    let champion = models.load(MODEL, VersionRef::Alias("champion".to_owned())).await?;
    server.load(MODEL, champion).await?;
    let serving = platform.get_default::<dyn ServingPlatform>()?;
    let endpoint = serving.deploy(Deployment::new(MODEL, MODEL)).await.context("deploying the model")?;
    step.done(&endpoint.url);

    let step = progress.step("predict over HTTP");
    let row = features_of(&test, 0)?;
    let actual = test.string_column(TARGET)?.into_iter().next().flatten().unwrap_or_default();
    let (prediction, probabilities) = predict(&endpoint.url, row).await.context("asking for a prediction")?;
    step.done(&prediction);

    let step = progress.step("metrics");
    let monitoring = platform.get_default::<dyn Monitoring>()?;
    let accuracy = evaluation.metrics.get("accuracy").copied().unwrap_or(f64::NAN);
    monitoring.record(vec![Measurement::gauge("model_accuracy_ratio", accuracy).label("model", MODEL)]).await?;
    let exported = counted(&monitoring).await?;
    let samples = exported.lines().filter(|line| !line.starts_with('#')).count();
    step.done(&format!("{samples} samples"));

    let status = platform.status();
    let tracker = status.iter().find(|s| s.kind == "experiment_tracker").map_or("", |s| s.name);
    Ok(Report {
        platform: platform.name(),
        rows: data.num_rows(),
        split: (train.num_rows(), test.num_rows()),
        evaluation,
        run,
        tracker: tracker.to_owned(),
        version,
        url: endpoint.url,
        actual,
        prediction,
        probabilities,
        requests: served(&exported),
    })
}

async fn track(
    tracker: &Handle<dyn ExperimentTracker>,
    trained: &TrainedModel,
    evaluation: &Evaluation,
) -> Result<Run> {
    let run = tracker
        .start_run(NewRun::new("breast-cancer", "logistic regression").tag("data", "UCI 10.24432/C5DW2B"))
        .await?;
    let parameters = trained.parameters.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    tracker.log_params(&run.id, parameters).await?;
    let metrics =
        trained.metrics.iter().chain(&evaluation.metrics).map(|(name, value)| Metric::new(name, *value)).collect();
    tracker.log_metrics(&run.id, metrics).await?;
    tracker.log_artifact(&run.id, "model/model.bin", trained.model.bytes.clone()).await?;
    tracker.end_run(&run.id, RunStatus::Finished).await?;
    tracker.run(&run.id).await
}

/// One row without its answer, as JSON.
fn features_of(data: &DataFrame, row: usize) -> Result<JsonValue> {
    let mut features = serde_json::Map::new();
    for name in data.column_names().filter(|name| *name != TARGET) {
        let values = data.f64_column(name)?;
        let value = values.get(row).copied().ok_or_else(|| Error::invalid("the test set is empty"))?;
        features.insert(name.to_owned(), value.into());
    }
    Ok(features.into())
}

async fn predict(url: &str, row: JsonValue) -> Result<(String, BTreeMap<String, f64>)> {
    let url = url.to_owned();
    let key = std::env::var("MLX_DEMO_KEY").unwrap_or_else(|_| "only-for-this-example".to_owned());
    let answer = tokio::task::spawn_blocking(move || -> Result<JsonValue> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().into();
        let response = agent
            .post(&url)
            .header("Authorization", format!("Bearer {key}"))
            .send_json(json!({ "rows": [row] }))
            .map_err(Error::wrap)?;
        response.into_body().read_json().map_err(Error::wrap)
    })
    .await
    .map_err(Error::wrap)??;
    let first = &answer["predictions"][0];
    let prediction = first["prediction"].as_str().ok_or_else(|| Error::failed("the answer has no prediction"))?;
    let probabilities = first["probabilities"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(class, p)| Some((class.clone(), p.as_f64()?)))
        .collect();
    Ok((prediction.to_owned(), probabilities))
}

/// Everything measured, the request included. A server measures after it has answered, so that may take a moment.
async fn counted(monitoring: &Handle<dyn Monitoring>) -> Result<String> {
    for _ in 0..50 {
        let exported = monitoring.export().await?;
        if requests(&exported) > 0.0 {
            return Ok(exported);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    monitoring.export().await
}

/// How many requests the exporter has counted.
fn requests(exported: &str) -> f64 {
    exported
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains("requests_total"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .fold(0.0, |total, count| total + count)
}

fn served(exported: &str) -> String {
    let total = requests(exported);
    format!("{total} request{} over HTTP", if total == 1.0 { "" } else { "s" })
}
