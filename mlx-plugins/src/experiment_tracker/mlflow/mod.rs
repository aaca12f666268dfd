//! Experiment tracking on an MLflow server.
//!
//! ```yaml
//! plugins:
//!   - type: experiment_tracker
//!     name: mlflow
//!     config:
//!       url: http://mlflow.example:5000
//!       token: ${env:MLFLOW_TOKEN}
//! ```
//!
//! # From nothing to a run
//! The plugin is a feature of `mlx-plugins`, and the program links the crate, with `mlx_core::link!(mlx_plugins);`:
//!
//! ```toml
//! [dependencies]
//! mlx-core = { path = "…/mlx/mlx-core" }
//! mlx-plugins = { path = "…/mlx/mlx-plugins", features = ["experiment-tracker-mlflow"] }
//! ```
//!
//! A server on this machine, then at `http://127.0.0.1:5000`, needs no `token`:
//!
//! ```console
//! $ pip install mlflow
//! $ mlflow server
//! ```
//!
//! # What is kept, and when
//! Metrics enter a queue and are sent in batches of up to 1,000, in order, one batch at a time. When the queue is full,
//! [`log_metrics`](ExperimentTracker::log_metrics) waits for room. A batch is sent until the server has confirmed it,
//! also across its restarts; MLflow keeps a metric with the same name, value, step and time once, so that one that was
//! sent twice is there once. [`end_run`](ExperimentTracker::end_run), everything that reads a run, and the stop of the
//! plugin wait until the queue is empty. What is still queued when the program is killed is lost.
//!
//! Everything else is sent at once. A run that is begun carries the tag `mlx.start` with a random value: when the
//! answer is lost, the run is found by it instead of being begun twice.
//!
//! # What MLflow does differently
//! - A time has milliseconds. A history is in the order of times, then of steps.
//! - An infinite value becomes the largest one (±1.7976931348623157e308), because the databases under it have no
//!   infinities. NaN is kept.
//! - Names of parameters, metrics and tags have up to 250 letters, digits and `_ - . / : space`; values of parameters have up to
//!   6,000 characters, those of tags up to 8,000.
//! - The last value of a metric is that of the largest step, and among those of the latest time.
//! - Names of datasets have up to 500 characters, digests up to 36. Of a dataset with the same name and digest in
//!   several runs of an experiment, the first one's source is kept.
//! - Artifacts go through the server (`mlflow server --artifacts-destination …`, the default). Of an experiment with an
//!   artifact location of its own, such as a bucket, they can neither be stored nor read here.
//!
//! # What it was tested against
//! MLflow's own server 3.17.2 on SQLite, open, with its basic authentication, and behind a proxy that wants a bearer
//! token; what was written is read back with MLflow's own Python client, and 100,000 metrics of 8 tasks arrive while the
//! server is killed and started again. It has not been run against Databricks.
//!
//! It does not delete, and does not send system metrics, traces or models' metadata.

mod queue;
mod search;

use crate::mlflow::{
    Folder, MlflowConfig, Server, check_names, incomplete, integer, milliseconds, number, pairs, text, time,
    wire_number,
};
use mlx_core::prelude::*;
use queue::Queue;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};
use tokio::task::JoinHandle;

/// The tag by which a run is found whose beginning was not confirmed.
const START: &str = "mlx.start";

/// MLflow's tag for the name of a run.
const RUN_NAME: &str = "mlflow.runName";

/// MLflow's tag for what a dataset was used for.
const CONTEXT: &str = "mlflow.data.context";

/// How many runs or metrics are asked for at once.
const PAGE: u32 = 1000;

/// Settings of the tracker on an MLflow server.
#[derive(PluginConfig)]
pub struct MlflowTrackerConfig {
    /// How to reach the server.
    #[config(extends)]
    pub server: MlflowConfig,
    /// How many metrics may wait to be sent.
    #[config(default = 100_000, range(1..=10_000_000))]
    pub queue: usize,
}

/// Records runs on an MLflow server.
#[mlx_plugin(
    type = "experiment_tracker",
    name = "mlflow",
    capabilities = ["parameters", "metrics", "tags", "artifacts", "datasets", "search"],
    swap = "overlap",
    stability = "beta"
)]
pub struct MlflowTracker {
    server: Arc<Server>,
    queue: Arc<Queue>,
    sender: JoinHandle<()>,
    /// The runs that are known to exist.
    runs: RwLock<HashMap<String, Arc<str>>>,
}

#[async_trait]
impl Plugin for MlflowTracker {
    type Config = MlflowTrackerConfig;

    async fn initialize(config: MlflowTrackerConfig, _: &InitContext) -> Result<Self> {
        let server = Arc::new(Server::new(config.server)?);
        // A wrong address or token is known now rather than with the first metric.
        server.post("experiments/search", &json!({"max_results": 1}), true).await?;
        let queue = Arc::new(Queue::new(config.queue));
        let sender = tokio::spawn({
            let (server, queue) = (server.clone(), queue.clone());
            async move { queue.deliver(&server).await }
        });
        Ok(MlflowTracker { server, queue, sender, runs: RwLock::default() })
    }

    async fn health(&self) -> Result<Health> {
        Ok(self.server.health().await.detail("queued", self.queue.len().to_string()))
    }

    async fn shutdown(&self) -> Result<()> {
        self.queue.close().await;
        self.sender.abort();
        match self.queue.refused().into_iter().next() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Drop for MlflowTracker {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

#[async_trait]
impl ExperimentTracker for MlflowTracker {
    async fn start_run(&self, run: NewRun) -> Result<Run> {
        if run.experiment.is_empty() {
            return Err(Error::invalid("the name of an experiment is empty"));
        }
        check_names("a tag", run.tags.keys())?;
        let experiment = self.server.experiment_or_new(&run.experiment).await?;
        let token = crate::random::random_id()?;
        let mut tags: Vec<JsonValue> =
            run.tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        tags.push(json!({"key": START, "value": token}));
        let body = json!({
            "experiment_id": experiment,
            "run_name": run.name,
            "start_time": milliseconds(SystemTime::now())?,
            "tags": tags,
        });
        let begun = match self.server.post("runs/create", &body, false).await {
            Err(error) if error.kind().is_transient() => match self.begun(&experiment, &token).await? {
                Some(run) => run,
                None => self.server.post("runs/create", &body, false).await?["run"].take(),
            },
            reply => reply?["run"].take(),
        };
        let mut begun = self.read_run(&begun, &run.experiment, "runs/create")?;
        // The server makes up a name for a run without one.
        begun.name = run.name;
        self.know(&begun.id);
        Ok(begun)
    }

    async fn log_params(&self, run: &str, parameters: BTreeMap<String, String>) -> Result<()> {
        check_names("a parameter", parameters.keys())?;
        self.known(run).await?;
        let all: Vec<JsonValue> = parameters.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        for params in all.chunks(100) {
            self.server.post("runs/log-batch", &json!({"run_id": run, "params": params}), true).await?;
        }
        Ok(())
    }

    async fn log_metrics(&self, run: &str, metrics: Vec<Metric>) -> Result<()> {
        check_names("a metric", metrics.iter().map(|metric| &metric.name))?;
        for metric in &metrics {
            milliseconds(metric.time)?;
        }
        let run = self.known(run).await?;
        self.queue.push(&run, metrics).await
    }

    async fn set_tags(&self, run: &str, tags: BTreeMap<String, String>) -> Result<()> {
        check_names("a tag", tags.keys())?;
        self.known(run).await?;
        let all: Vec<JsonValue> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        for tags in all.chunks(100) {
            self.server.post("runs/log-batch", &json!({"run_id": run, "tags": tags}), true).await?;
        }
        Ok(())
    }

    async fn log_artifact(&self, run: &str, path: &str, contents: Vec<u8>) -> Result<()> {
        check_path(path)?;
        self.server.upload(&self.folder(run).await?, path, contents).await
    }

    async fn artifact(&self, run: &str, path: &str) -> Result<Vec<u8>> {
        check_path(path)?;
        match self.server.download(&self.folder(run).await?, path).await {
            Ok(contents) => Ok(contents),
            // Asked for a folder, or for a file that is not there, the server fails in several ways.
            Err(error) => match self.artifacts(run).await {
                Ok(known) if known.binary_search_by(|known| known.as_str().cmp(path)).is_err() => {
                    Err(Error::not_found(format!("the run {run} has no artifact {path:?}")))
                }
                _ => Err(error),
            },
        }
    }

    async fn end_run(&self, run: &str, status: RunStatus) -> Result<()> {
        let status = match status {
            RunStatus::Running => {
                return Err(Error::invalid("a run ends as finished, failed or cancelled, not as running"));
            }
            RunStatus::Finished => "FINISHED",
            RunStatus::Failed => "FAILED",
            RunStatus::Cancelled => "KILLED",
        };
        self.known(run).await?;
        let recorded = self.queue.flush(run).await;
        let body = json!({"run_id": run, "status": status, "end_time": milliseconds(SystemTime::now())?});
        self.server.post("runs/update", &body, true).await?;
        recorded
    }

    async fn run(&self, run: &str) -> Result<Run> {
        self.queue.flush(run).await?;
        let found = self.server.get("runs/get", &[("run_id", run)]).await.map_err(|error| unknown_run(error, run))?;
        let id = text(&found["run"]["info"], "experiment_id", "runs/get")?;
        let experiment = self.server.get("experiments/get", &[("experiment_id", &id)]).await?;
        let name = text(&experiment["experiment"], "name", "experiments/get")?;
        let mut found = self.read_run(&found["run"], &name, "runs/get")?;
        found.artifacts = self.artifacts(run).await?;
        Ok(found)
    }

    async fn runs(&self, experiment: &str) -> Result<Vec<Run>> {
        self.search_runs(RunSearch::new(experiment)).await
    }

    async fn metric_history(&self, run: &str, name: &str) -> Result<Vec<Metric>> {
        self.known(run).await?;
        self.queue.flush(run).await?;
        let (mut history, mut page) = (Vec::new(), String::new());
        let size = PAGE.to_string();
        loop {
            let query = [("run_id", run), ("metric_key", name), ("max_results", &size), ("page_token", &page)];
            // Some versions take an empty token for a damaged one.
            let query = &query[..if page.is_empty() { 3 } else { 4 }];
            let reply = self.server.get("metrics/get-history", query).await?;
            for metric in reply["metrics"].as_array().into_iter().flatten() {
                history.push(Metric {
                    name: name.to_owned(),
                    value: number(&metric["value"]).ok_or_else(|| incomplete("metrics/get-history", "value"))?,
                    step: integer(&metric["step"]).unwrap_or(0),
                    time: time(integer(&metric["timestamp"]).unwrap_or(0)),
                });
            }
            match reply["next_page_token"].as_str() {
                Some(next) if !next.is_empty() => page = next.to_owned(),
                _ => break,
            }
        }
        Ok(history)
    }

    async fn log_dataset(&self, run: &str, dataset: Dataset) -> Result<()> {
        check_dataset(&dataset)?;
        self.known(run).await?;
        let mut input = json!({"dataset": {
            "name": dataset.name, "digest": dataset.digest, "source_type": "mlx", "source": dataset.source,
        }});
        if !dataset.context.is_empty() {
            input["tags"] = json!([{"key": CONTEXT, "value": dataset.context}]);
        }
        self.server.post("runs/log-inputs", &json!({"run_id": run, "datasets": [input]}), true).await.map(drop)
    }

    async fn search_runs(&self, search: RunSearch) -> Result<Vec<Run>> {
        let mut experiments = BTreeMap::new();
        for name in &search.experiments {
            experiments.insert(self.server.experiment(name).await?, name.as_str());
        }
        // Without an experiment it would look into all of them.
        if experiments.is_empty() {
            return Ok(Vec::new());
        }
        self.queue.settle().await;
        let (order, complete) = search::order(&search);
        // In another order, the first ones are known only once all are there.
        let enough = search.limit.filter(|_| complete).unwrap_or(usize::MAX);
        let ids: Vec<&String> = experiments.keys().collect();
        let mut body = json!({
            "experiment_ids": ids, "filter": search::filter(&search), "order_by": order, "max_results": PAGE,
        });
        let mut runs = Vec::new();
        while runs.len() < enough {
            let reply = self.server.post("runs/search", &body, true).await?;
            for run in reply["runs"].as_array().into_iter().flatten() {
                let id = run["info"]["experiment_id"].as_str().unwrap_or_default();
                let run = self.read_run(run, experiments.get(id).unwrap_or(&""), "runs/search")?;
                if search.matches(&run) {
                    runs.push(run);
                }
            }
            match reply["next_page_token"].as_str() {
                Some(next) if !next.is_empty() => body["page_token"] = json!(next),
                _ => break,
            }
        }
        let mut runs = search.select(runs);
        for run in &mut runs {
            self.queue.flush(&run.id).await?;
            run.artifacts = self.artifacts(&run.id).await?;
        }
        Ok(runs)
    }
}

impl MlflowTracker {
    /// Whether the run exists: asked once a run.
    async fn known(&self, run: &str) -> Result<Arc<str>> {
        if let Some(known) = self.runs.read().unwrap_or_else(PoisonError::into_inner).get(run) {
            return Ok(known.clone());
        }
        self.server.get("runs/get", &[("run_id", run)]).await.map_err(|error| unknown_run(error, run))?;
        Ok(self.know(run))
    }

    fn know(&self, run: &str) -> Arc<str> {
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        runs.entry(run.to_owned()).or_insert_with(|| run.into()).clone()
    }

    /// The run that was begun with this token, if it was.
    async fn begun(&self, experiment: &str, token: &str) -> Result<Option<JsonValue>> {
        let body = json!({
            "experiment_ids": [experiment],
            "filter": format!("tags.`{START}` = '{token}'"),
            "max_results": 1,
        });
        let mut reply = self.server.post("runs/search", &body, true).await?;
        Ok(reply["runs"].get_mut(0).map(JsonValue::take))
    }

    fn read_run(&self, run: &JsonValue, experiment: &str, operation: &str) -> Result<Run> {
        let (info, data) = (&run["info"], &run["data"]);
        let id = text(info, "run_id", operation)?;
        let mut found = Run::new(id, NewRun::new(experiment, ""), time(integer(&info["start_time"]).unwrap_or(0)));
        found.status = match info["status"].as_str() {
            Some("FINISHED") => RunStatus::Finished,
            Some("FAILED") => RunStatus::Failed,
            Some("KILLED") => RunStatus::Cancelled,
            _ => RunStatus::Running,
        };
        found.ended = integer(&info["end_time"]).map(time);
        found.parameters = pairs(&data["params"]);
        found.tags = pairs(&data["tags"]);
        found.tags.remove(START);
        found.name = found.tags.remove(RUN_NAME).unwrap_or_default();
        for metric in data["metrics"].as_array().into_iter().flatten() {
            if let (Some(key), Some(value)) = (metric["key"].as_str(), number(&metric["value"])) {
                found.metrics.insert(key.to_owned(), value);
            }
        }
        found.datasets = datasets(&run["inputs"]);
        let experiment = info["experiment_id"].as_str().unwrap_or_default();
        found.location = format!("{}#/experiments/{experiment}/runs/{}", self.server.url(), found.id);
        Ok(found)
    }

    /// Where the artifacts of a run are.
    async fn folder(&self, run: &str) -> Result<Folder> {
        let found = self.server.get("runs/get", &[("run_id", run)]).await.map_err(|error| unknown_run(error, run))?;
        Folder::at(&text(&found["run"]["info"], "artifact_uri", "runs/get")?, &format!("the run {run}"))
    }

    /// The paths of all artifacts of a run, sorted.
    async fn artifacts(&self, run: &str) -> Result<Vec<String>> {
        let (mut found, mut folders) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            let reply = self.server.get("artifacts/list", &[("run_id", run), ("path", &folder)]).await?;
            for file in reply["files"].as_array().into_iter().flatten() {
                let path = text(file, "path", "artifacts/list")?;
                match file["is_dir"].as_bool() {
                    // A server that lists a folder in itself would keep us here for ever.
                    Some(true) if path.len() > folder.len() => folders.push(path),
                    Some(true) => {}
                    _ => found.push(path),
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

fn unknown_run(error: Error, run: &str) -> Error {
    match error.kind() {
        // Newer versions refuse what cannot be an id.
        ErrorKind::NotFound | ErrorKind::Invalid => Error::not_found(format!("there is no run {run:?}")),
        _ => error,
    }
}

/// The rules of `mlflow.utils.validation`.
fn check_dataset(dataset: &Dataset) -> Result<()> {
    let length = |text: &str| text.chars().count();
    if !(1..=500).contains(&length(&dataset.name)) {
        return Err(Error::invalid("the name of a dataset has 1 to 500 characters in MLflow"));
    }
    if !(1..=36).contains(&length(&dataset.digest)) {
        return Err(Error::invalid(format!(
            "the digest of the dataset {:?} has {} characters, and 1 to 36 in MLflow: use the first of them",
            dataset.name,
            length(&dataset.digest)
        )));
    }
    if dataset.source.len() > 65_535 || length(&dataset.context) > 500 {
        return Err(Error::invalid(format!(
            "the source or the context of the dataset {:?} is too long for MLflow",
            dataset.name
        )));
    }
    Ok(())
}

fn datasets(inputs: &JsonValue) -> Vec<Dataset> {
    let mut datasets: Vec<Dataset> = inputs["dataset_inputs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|input| {
            let dataset = &input["dataset"];
            let mut found = Dataset::new(dataset["name"].as_str()?, dataset["digest"].as_str()?);
            found.source = dataset["source"].as_str().unwrap_or_default().to_owned();
            found.context = pairs(&input["tags"]).remove(CONTEXT).unwrap_or_default();
            Some(found)
        })
        .collect();
    datasets.sort();
    datasets
}

/// A metric as MLflow takes it.
fn wire(metric: &Metric) -> JsonValue {
    // Times have been checked when they came.
    let time = milliseconds(metric.time).unwrap_or(0);
    json!({"key": metric.name, "value": wire_number(metric.value), "timestamp": time, "step": metric.step})
}

/// A path that stays inside the run, and means the same on every system.
fn check_path(path: &str) -> Result<()> {
    let wrong = |part: &str| {
        part.is_empty()
            || part.chars().all(|c| c == '.')
            || part.chars().any(|c| c.is_control() || matches!(c, '\\' | ':'))
    };
    if path.len() > 1024 || path.split('/').any(wrong) {
        return Err(Error::invalid(format!(
            "the artifact path {path:?} is not relative with `/` between its parts, or leaves the run"
        )));
    }
    Ok(())
}
