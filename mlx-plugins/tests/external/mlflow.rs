//! The tracker `mlflow` against MLflow's own server; what it wrote is read back with MLflow's own client.

use super::server::{Launch, Server, python};
use mlx_core::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant, UNIX_EPOCH},
};

pub(crate) async fn server() -> Server {
    Server::start(launch).await
}

pub(crate) fn launch(port: u16, folder: &Path) -> Launch {
    Launch {
        name: "mlflow",
        program: "bin/mlflow",
        arguments: [
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--workers",
            "1",
            "--backend-store-uri",
            &format!("sqlite:///{}/mlflow.db", folder.display()),
            "--artifacts-destination",
            &folder.join("artifacts").display().to_string(),
        ]
        .map(str::to_owned)
        .into(),
        variables: vec![
            // Its workers for jobs take two gigabytes.
            ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false".to_owned()),
            ("MLFLOW_DISABLE_TELEMETRY", "true".to_owned()),
        ],
        ready: "/health",
    }
}

mlx_core::link!(mlx_plugins);

type Tracker = mlx_core::platform::Standalone<dyn ExperimentTracker>;

async fn tracker(server: &Server) -> Tracker {
    mlx_core::registry().create("mlflow", json!({"url": server.url()})).await.unwrap()
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Prints a run as the official client reads it.
const READ: &str = r#"
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
run = client.get_run(sys.argv[2])
history = client.get_metric_history(run.info.run_id, "loss")
print(json.dumps({
    "experiment": client.get_experiment(run.info.experiment_id).name,
    "name": run.info.run_name,
    "status": run.info.status,
    "params": run.data.params,
    "tags": run.data.tags,
    "history": [[m.step, m.timestamp, repr(m.value)] for m in history],
    "datasets": [
        [i.dataset.name, i.dataset.digest, i.dataset.source, {t.key: t.value for t in i.tags}]
        for i in run.inputs.dataset_inputs
    ],
    "artifacts": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
}))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn everything_written_is_read_back_by_the_official_client() {
    let server = server().await;
    let tracker = tracker(&server).await;
    let begun = tracker.start_run(NewRun::new("préférences 実験", "first run").tag("team", "blue")).await.unwrap();
    let run = begun.id.as_str();
    tracker.log_params(run, map(&[("depth", "3"), ("empty", ""), ("rate/inner", "0.1")])).await.unwrap();
    let values = [1.0 / 3.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324];
    let metrics: Vec<Metric> = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let mut metric = Metric::new("loss", *value).step(index as i64 * 10 - 20);
            metric.time = UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + index as u64);
            metric
        })
        .collect();
    tracker.log_metrics(run, metrics).await.unwrap();
    tracker.set_tags(run, map(&[("team", "red"), ("note", "a\nb 🦀")])).await.unwrap();
    let binary: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    for (path, contents) in [("model.bin", &binary[..]), ("plots/a b/préf 実験.png", b"\0\xff"), ("empty", b"")] {
        tracker.log_artifact(run, path, contents.to_vec()).await.unwrap();
        assert_eq!(tracker.artifact(run, path).await.unwrap(), contents, "{path}");
    }
    let data = Dataset::new("préf 実験", "0f".repeat(18)).source("s3://bucket/a?b='c'").context("training");
    for dataset in [data.clone(), data.clone().context("again"), Dataset::new("a", "1")] {
        tracker.log_dataset(run, dataset).await.unwrap();
    }
    tracker.end_run(run, RunStatus::Finished).await.unwrap();

    let read: JsonValue = python("mlflow", READ, &[&server.url(), run]).trim().parse().unwrap();
    assert_eq!(read["experiment"], "préférences 実験");
    assert_eq!((&read["name"], &read["status"]), (&json!("first run"), &json!("FINISHED")));
    assert_eq!(read["params"], json!({"depth": "3", "empty": "", "rate/inner": "0.1"}));
    assert_eq!((&read["tags"]["team"], &read["tags"]["note"]), (&json!("red"), &json!("a\nb 🦀")));
    let at = |index: i64| 1_700_000_000_000 + index;
    assert_eq!(
        read["history"],
        json!([
            [-20, at(0), "0.3333333333333333"],
            [-10, at(1), "nan"],
            [0, at(2), "1.7976931348623157e+308"],
            [10, at(3), "-1.7976931348623157e+308"],
            // SQLite keeps no sign of zero.
            [20, at(4), "0.0"],
            [30, at(5), "5e-324"],
        ])
    );
    assert_eq!(read["artifacts"], json!(["empty", "model.bin", "plots"]));
    let datasets = json!([
        ["préf 実験", "0f".repeat(18), "s3://bucket/a?b='c'", {"mlflow.data.context": "training"}],
        ["a", "1", "", {}],
    ]);
    assert_eq!(read["datasets"], datasets);

    let found = tracker.run(run).await.unwrap();
    assert_eq!((found.experiment.as_str(), found.name.as_str()), ("préférences 実験", "first run"));
    assert_eq!((found.status, found.started), (RunStatus::Finished, begun.started));
    assert!(found.ended.is_some_and(|ended| ended >= found.started));
    assert_eq!(found.tags, map(&[("note", "a\nb 🦀"), ("team", "red")]), "none of ours, none of MLflow's");
    assert_eq!(found.artifacts, ["empty", "model.bin", "plots/a b/préf 実験.png"]);
    assert_eq!(found.metrics["loss"], 5e-324);
    assert_eq!(found.datasets, [Dataset::new("a", "1"), data]);
    let history = tracker.metric_history(run, "loss").await.unwrap();
    assert_eq!(history.iter().map(|metric| metric.step).collect::<Vec<_>>(), [-20, -10, 0, 10, 20, 30]);
    assert!(history[1].value.is_nan());
    assert!(tracker.metric_history(run, "none").await.unwrap().is_empty());

    // Listed with the newest first, over several pages of metrics.
    let second = tracker.start_run(NewRun::new("préférences 実験", "second")).await.unwrap().id;
    let many: Vec<Metric> = (0..2500).map(|step| Metric::new("m", step as f64).step(step)).collect();
    tracker.log_metrics(&second, many).await.unwrap();
    let steps: BTreeSet<i64> = tracker.metric_history(&second, "m").await.unwrap().iter().map(|m| m.step).collect();
    assert_eq!(steps, BTreeSet::from_iter(0..2500));
    let runs = tracker.runs("préférences 実験").await.unwrap();
    assert_eq!(runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [&second, run]);
    assert_eq!(runs[1], found);

    // What is refused, and what does not exist.
    refused(tracker.log_params(run, map(&[("depth", "4")])).await, ErrorKind::Invalid);
    refused(tracker.log_metrics(run, vec![Metric::new("what?", 1.0)]).await, ErrorKind::Invalid);
    refused(tracker.end_run(run, RunStatus::Running).await, ErrorKind::Invalid);
    refused(tracker.log_dataset(run, Dataset::new("a", "0".repeat(64))).await, ErrorKind::Invalid);
    refused(tracker.log_dataset("nope", Dataset::new("a", "1")).await, ErrorKind::NotFound);
    refused(tracker.start_run(NewRun::new("", "x")).await, ErrorKind::Invalid);
    for unknown in ["", "nope", "../x", &"0".repeat(32)] {
        refused(tracker.log_metrics(unknown, vec![Metric::new("m", 1.0)]).await, ErrorKind::NotFound);
        refused(tracker.log_params(unknown, map(&[("p", "1")])).await, ErrorKind::NotFound);
        refused(tracker.run(unknown).await, ErrorKind::NotFound);
        refused(tracker.end_run(unknown, RunStatus::Failed).await, ErrorKind::NotFound);
    }
    refused(tracker.runs("nope").await, ErrorKind::NotFound);
    refused(tracker.artifact(run, "nope/nothing").await, ErrorKind::NotFound);
    for path in ["", "/etc/passwd", "../x", "a/../b", "a//b", "C:/x", "a\\b"] {
        refused(tracker.log_artifact(run, path, vec![1]).await, ErrorKind::Invalid);
    }
    let health = mlx_core::Handle::health(&tracker).await.unwrap();
    assert_eq!((health.is_healthy(), &health.details["version"]), (true, &json!("3.17.2")));
    tracker.shutdown().await.unwrap();
}

/// Finds runs as the official client finds them.
const SEARCH: &str = r#"
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
ids = [client.get_experiment_by_name(name).experiment_id for name in ("e", "other")]
def search(filter, order, n=100):
    return [run.info.run_id for run in client.search_runs(ids, filter, order_by=order, max_results=n)]
print(json.dumps([
    search("metrics.auc >= 0.5", ["metrics.auc DESC"]),
    search("params.depth != '3'", ["params.depth ASC"]),
    search("tags.team = 'blue' and attributes.status = 'FINISHED'", []),
    search("", ["metrics.auc ASC"], 4),
]))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_what_it_says_and_what_the_official_client_finds() {
    let server = server().await;
    let tracker = tracker(&server).await;
    let mut began = None;
    for (index, auc) in [0.5, 0.9, f64::NAN, 0.25, 1e-7, 0.9].into_iter().enumerate() {
        let experiment = if index == 3 { "other" } else { "e" };
        let team = if index % 2 == 0 { "blue" } else { "\"it's\" \\" };
        let run = tracker.start_run(NewRun::new(experiment, format!("r{index}")).tag("team", team)).await.unwrap();
        tracker.log_params(&run.id, map(&[("depth", &index.to_string())])).await.unwrap();
        tracker.log_metrics(&run.id, vec![Metric::new("auc", auc), Metric::new("a/b c", index as f64)]).await.unwrap();
        if index < 3 {
            tracker.end_run(&run.id, RunStatus::Finished).await.unwrap();
        }
        if index == 2 {
            began = Some(run.started);
        }
        // Times have milliseconds, and the order is by them.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    tracker.start_run(NewRun::new("e", "nothing recorded")).await.unwrap();
    let search = || RunSearch::new("e").experiment("other").experiment("e");
    let auc = || RunKey::Metric("auc".into());
    let mut all = tracker.search_runs(search()).await.unwrap();
    assert_eq!((all.len(), all[0].name.as_str()), (7, "nothing recorded"));
    let theirs: Vec<Vec<String>> = {
        let read: JsonValue = python("mlflow", SEARCH, &[&server.url()]).trim().parse().unwrap();
        let ids =
            |list: &JsonValue| list.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        read.as_array().unwrap().iter().map(ids).collect()
    };
    let ours = [
        search().metric("auc", Comparison::GreaterOrEqual, 0.5).descending(auc()),
        search()
            .filter(RunFilter::Parameter("depth".into(), Match::IsNot, "3".into()))
            .ascending(RunKey::Parameter("depth".into())),
        search().tag("team", "blue").status(RunStatus::Finished),
        search().ascending(auc()).limit(4),
    ];
    let ids = |runs: &[Run]| runs.iter().map(|run| run.id.clone()).collect::<Vec<_>>();
    for (search, theirs) in ours.iter().zip(&theirs) {
        // MLflow takes NaN for 0 in a filter.
        assert_eq!(&ids(&tracker.search_runs(search.clone()).await.unwrap()), theirs, "{search:?}");
    }
    let began = began.unwrap();
    let more = [
        search().tag("team", "\"it's\" \\"),
        search().metric("auc", Comparison::Less, 0.3),
        search().metric("auc", Comparison::NotEqual, 0.9).limit(1),
        search().metric("a/b c", Comparison::Greater, 2.0).ascending(RunKey::Tag("team".into())).limit(2),
        search().metric("no`such", Comparison::Less, 1.0),
        search().ascending(RunKey::Metric("no`such".into())).descending(RunKey::Name),
        search().status(RunStatus::Running).ascending(RunKey::Ended),
        search().filter(RunFilter::Name(Match::Is, "r2".into())),
        search().filter(RunFilter::Started(Comparison::Less, began)),
        search().filter(RunFilter::Started(Comparison::LessOrEqual, began)),
        search().filter(RunFilter::Started(Comparison::Greater, began + Duration::from_micros(1))),
        search().limit(0),
    ];
    for search in more {
        let found = tracker.search_runs(search.clone()).await.unwrap();
        assert_eq!(ids(&found), ids(&search.select(all.clone())), "{search:?}");
    }
    all.retain(|run| run.experiment == "e");
    assert_eq!(ids(&tracker.runs("e").await.unwrap()), ids(&all));
    refused(tracker.search_runs(RunSearch::new("nope")).await, ErrorKind::NotFound);
    tracker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_metric_is_lost_when_the_server_is_killed_and_comes_back() {
    const TASKS: i64 = 8;
    const EACH: i64 = 12_500;
    let mut server = server().await;
    let tracker = tracker(&server).await;
    let run = tracker.start_run(NewRun::new("load", "run")).await.unwrap().id;
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let (tracker, run) = (tracker.handle(), run.clone());
        tasks.push(tokio::spawn(async move {
            let name = format!("m{task}");
            for step in 0..EACH {
                let metric = Metric::new(name.as_str(), step as f64).step(step);
                tracker.log_metrics(&run, vec![metric]).await.unwrap();
            }
        }));
    }
    // Somewhere in the middle of the sending.
    while !server.log().contains("runs/log-batch") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.kill();
    let down = Instant::now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.restart().await;
    for task in tasks {
        task.await.unwrap();
    }
    tracker.end_run(&run, RunStatus::Finished).await.unwrap();
    println!("the server was away for {:?}", down.elapsed());
    for task in 0..TASKS {
        let history = tracker.metric_history(&run, &format!("m{task}")).await.unwrap();
        let steps: Vec<i64> = history.iter().map(|metric| metric.step).collect();
        assert_eq!(steps.len() as i64, EACH, "none is missing, none is twice");
        assert_eq!(steps.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from_iter(0..EACH));
    }
    tracker.shutdown().await.unwrap();
}
