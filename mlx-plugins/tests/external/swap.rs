//! The example's platform, swapped from its local tracker to MLflow while tasks log.

use super::{mlflow::server, server::python};
use mlx_core::prelude::*;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Prints the steps of a metric in all runs of an experiment, by run.
const STEPS: &str = r#"
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
found = client.get_experiment_by_name(sys.argv[2])
runs = client.search_runs([found.experiment_id]) if found else []
print(json.dumps({
    run.info.run_name: [m.step for m in client.get_metric_history(run.info.run_id, "loss")] for run in runs
}))
"#;

/// A run goes on under the tracker that began it. When that is replaced, its successor does not know the run, so the task
/// begins another one there and logs the same metric again, which was not recorded.
async fn log(
    tracker: &Handle<dyn ExperimentTracker>,
    task: u32,
    run: &mut Option<String>,
    metric: Metric,
) -> Result<()> {
    if let Some(run) = run {
        match tracker.log_metrics(run, vec![metric.clone()]).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            logged => return logged,
        }
    }
    let begun = tracker.start_run(NewRun::new("swap", format!("task {task}"))).await?.id;
    tracker.log_metrics(&begun, vec![metric]).await?;
    *run = Some(begun);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_swaps_to_mlflow_by_its_profile_and_loses_no_metric() {
    const TASKS: u32 = 6;
    let server = server().await;
    // The example's own composition; only where it puts its files is another place.
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/enterprise-stack");
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(example.join("platform.yaml")).unwrap();
    let text = text
        .replace(".mlx-runs", &folder.path().join("runs").display().to_string())
        .replace("data/breast_cancer.csv", &example.join("data/breast_cancer.csv").display().to_string())
        .replace("${env:MLFLOW_TRACKING_URI:-http://127.0.0.1:5000}", &server.url());
    assert!(text.contains(&server.url()));
    let composition = Composition::from_yaml(&text).unwrap();
    let platform = mlx_core::registry().activate(composition.clone()).await.unwrap();
    let tracker = platform.get_default::<dyn ExperimentTracker>().unwrap();

    let (stop, logged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (tracker, stop, logged) = (tracker.clone(), stop.clone(), logged.clone());
            tokio::spawn(async move {
                let (mut run, mut step) = (None, 0);
                while !stop.load(Ordering::SeqCst) {
                    log(&tracker, task, &mut run, Metric::new("loss", f64::from(task)).step(step)).await.unwrap();
                    step += 1;
                    logged.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_micros(500)).await;
                }
                tracker.end_run(&run.unwrap(), RunStatus::Finished).await.unwrap();
                step
            })
        })
        .collect();
    let until = async |count: u64| {
        while logged.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until(600).await;
    let before = logged.load(Ordering::SeqCst);
    let applied = platform.apply(&composition.with_profile("mlflow").unwrap()).await.unwrap();
    assert_eq!(applied.cancelled_calls, 0, "{applied}");
    until(logged.load(Ordering::SeqCst) + 600).await;
    stop.store(true, Ordering::SeqCst);
    let mut steps = Vec::new();
    for task in tasks {
        steps.push(task.await.unwrap());
    }
    let status = platform.status();
    assert!(status.iter().any(|plugin| plugin.kind == "experiment_tracker" && plugin.name == "mlflow"), "{status:?}");
    platform.shutdown().await.unwrap();

    // What each of them has, read by others than those who wrote it.
    let local: mlx_core::platform::Standalone<dyn ExperimentTracker> =
        mlx_core::registry().create("local", json!({"path": folder.path().join("runs/tracking")})).await.unwrap();
    let mut old: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for run in local.runs("swap").await.unwrap() {
        let history = local.metric_history(&run.id, "loss").await.unwrap();
        old.entry(run.name).or_default().extend(history.iter().map(|metric| metric.step));
    }
    local.shutdown().await.unwrap();
    let new: JsonValue = python("mlflow", STEPS, &[&server.url(), "swap"]).trim().parse().unwrap();
    let new = |task: &str| new[task].as_array().unwrap().iter().map(|step| step.as_i64().unwrap()).collect::<Vec<_>>();
    let (mut in_old, mut in_new) = (0, 0);
    for (task, count) in steps.into_iter().enumerate() {
        let name = format!("task {task}");
        let (mut all, new) = (old.remove(&name).unwrap_or_default(), new(&name));
        in_old += all.len() as u64;
        in_new += new.len();
        all.extend(new);
        all.sort_unstable();
        assert_eq!(all, Vec::from_iter(0..count), "{name}: each is in exactly one place");
    }
    println!("{in_old} metrics in the local tracker, {in_new} in MLflow");
    assert!(in_old >= before && in_new >= 600, "{in_old} and {in_new}");
}
