//! What every tracker has to do, as one list of checks that each of them runs.

use mlx_core::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

type Tracker = Arc<dyn ExperimentTracker>;

/// Runs all checks, each in a folder of its own. `open` starts a tracker on a folder, anew at each call.
pub(super) async fn run<O, F>(open: O)
where
    O: Fn(PathBuf) -> F,
    F: Future<Output = Tracker>,
{
    macro_rules! alone {
        ($($check:ident),+ $(,)?) => {$({
            let folder = tempfile::tempdir().unwrap();
            eprintln!("{}", stringify!($check));
            $check(open(folder.path().join("store")).await, folder.path()).await;
        })+};
    }
    macro_rules! together {
        ($($check:ident),+ $(,)?) => {$({
            let folder = tempfile::tempdir().unwrap();
            eprintln!("{}", stringify!($check));
            let store = folder.path().join("store");
            $check(|| open(store.clone())).await;
        })+};
    }
    alone!(
        begins_a_run,
        keeps_parameters,
        refuses_a_changed_parameter,
        keeps_metrics_in_order,
        keeps_the_bits_of_metrics,
        keeps_the_last_metric,
        refuses_times_out_of_range,
        replaces_tags,
        keeps_datasets,
        finds_runs,
        ends_runs,
        lists_the_newest_first,
        does_not_know_other_runs,
        refuses_empty_names,
        takes_any_name,
        stores_artifacts,
        replaces_artifacts,
        refuses_paths_that_leave,
        loses_nothing_of_concurrent_calls,
        decides_a_race_for_a_parameter,
    );
    together!(shows_everything_after_reopening, lets_two_instances_share_a_folder, lets_many_instances_write_one_run);
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

async fn begin(tracker: &Tracker) -> String {
    tracker.start_run(NewRun::new("experiment", "run")).await.unwrap().id
}

async fn begins_a_run(tracker: Tracker, _: &Path) {
    let begun = tracker.start_run(NewRun::new("churn", "first").tag("team", "blue")).await.unwrap();
    assert_eq!((begun.experiment.as_str(), begun.name.as_str()), ("churn", "first"));
    assert_eq!((begun.status, begun.ended), (RunStatus::Running, None));
    assert_eq!(begun.tags, map(&[("team", "blue")]));
    assert_eq!(begun.id.len(), 32);
    assert!(!begun.location.is_empty());
    assert_eq!(tracker.run(&begun.id).await.unwrap(), begun);
    let second = tracker.start_run(NewRun::new("churn", "first")).await.unwrap();
    assert_ne!(begun.id, second.id);
}

async fn keeps_parameters(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    tracker.log_params(&run, map(&[("depth", "3"), ("rate", "0.1")])).await.unwrap();
    tracker.log_params(&run, map(&[("loss", "")])).await.unwrap();
    tracker.log_params(&run, BTreeMap::new()).await.unwrap();
    assert_eq!(tracker.run(&run).await.unwrap().parameters, map(&[("depth", "3"), ("loss", ""), ("rate", "0.1")]));
}

async fn refuses_a_changed_parameter(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    tracker.log_params(&run, map(&[("depth", "3")])).await.unwrap();
    tracker.log_params(&run, map(&[("depth", "3")])).await.unwrap();
    let changed = tracker.log_params(&run, map(&[("a", "1"), ("depth", "4"), ("z", "2")])).await;
    let message = refused(changed, ErrorKind::Invalid);
    for part in ["depth", "\"3\"", "\"4\"", &run] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(tracker.run(&run).await.unwrap().parameters, map(&[("depth", "3")]), "all or nothing");
    let other = begin(&tracker).await;
    tracker.log_params(&other, map(&[("depth", "4")])).await.unwrap();
}

async fn keeps_metrics_in_order(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    let metrics: Vec<Metric> = (0..1000)
        .map(|n| Metric {
            name: "loss".into(),
            value: if n % 100 == 7 { f64::NAN } else { 1.0 / f64::from(n) },
            step: i64::from(1000 - n),
            time: UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_000 - n as u64),
        })
        .collect();
    for batch in metrics.chunks(300) {
        tracker.log_metrics(&run, batch.to_vec()).await.unwrap();
    }
    tracker.log_metrics(&run, vec![Metric::new("other", 1.0)]).await.unwrap();
    let history = tracker.metric_history(&run, "loss").await.unwrap();
    assert_eq!(history.len(), 1000);
    for (found, logged) in history.iter().zip(&metrics) {
        assert_eq!((found.step, found.time), (logged.step, logged.time));
        assert!(found.value == logged.value || found.value.is_nan() && logged.value.is_nan());
    }
    assert!(history[0].value.is_infinite() && history[7].value.is_nan());
    assert!(tracker.metric_history(&run, "none").await.unwrap().is_empty());
}

async fn keeps_the_bits_of_metrics(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    // Among so many, some are read wrong by a parser of decimals that rounds early.
    let mut bits = 1u64;
    let mut values: Vec<f64> = std::iter::repeat_with(|| {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from_bits(bits)
    })
    .filter(|value| !value.is_nan())
    .take(1000)
    .collect();
    values.extend([
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        0.1,
        f64::INFINITY,
        f64::NEG_INFINITY,
        9_007_199_254_740_993.0,
    ]);
    tracker.log_metrics(&run, values.iter().map(|value| Metric::new("m", *value)).collect()).await.unwrap();
    tracker
        .log_metrics(&run, vec![Metric::new("m", 0.0).step(i64::MIN), Metric::new("m", 0.0).step(i64::MAX)])
        .await
        .unwrap();
    let found = tracker.metric_history(&run, "m").await.unwrap();
    let bits: Vec<u64> = found.iter().map(|metric| metric.value.to_bits()).collect();
    let expected: Vec<u64> = values.iter().chain(&[0.0, 0.0]).map(|value| value.to_bits()).collect();
    assert_eq!(bits, expected);
    assert_eq!(found[1007..].iter().map(|metric| metric.step).collect::<Vec<_>>(), [i64::MIN, i64::MAX]);
}

async fn keeps_the_last_metric(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    let metrics = vec![
        Metric::new("auc", 0.9).step(2),
        Metric::new("auc", 0.5).step(1),
        Metric::new("loss", 1.0),
        Metric::new("loss", f64::NAN),
    ];
    tracker.log_metrics(&run, metrics).await.unwrap();
    let last = tracker.run(&run).await.unwrap().metrics;
    assert_eq!(last.keys().collect::<Vec<_>>(), ["auc", "loss"]);
    assert!(last["auc"] == 0.5 && last["loss"].is_nan(), "{last:?}");
}

async fn refuses_times_out_of_range(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    let mut late = Metric::new("m", 1.0);
    late.time = UNIX_EPOCH + Duration::from_secs(20_000_000_000);
    refused(tracker.log_metrics(&run, vec![Metric::new("m", 2.0), late]).await, ErrorKind::Invalid);
    assert!(tracker.metric_history(&run, "m").await.unwrap().is_empty(), "all or nothing");
}

async fn replaces_tags(tracker: Tracker, _: &Path) {
    let run = tracker.start_run(NewRun::new("e", "r").tag("a", "1").tag("b", "1")).await.unwrap().id;
    tracker.set_tags(&run, map(&[("b", "2"), ("c", "3")])).await.unwrap();
    assert_eq!(tracker.run(&run).await.unwrap().tags, map(&[("a", "1"), ("b", "2"), ("c", "3")]));
}

async fn keeps_datasets(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    let train = Dataset::new("préf 🦀", "sha256:1").source("s3://bucket/a?b=c").context("training");
    let test = Dataset::new("a", "2");
    for dataset in [&train, &test, &train] {
        tracker.log_dataset(&run, dataset.clone()).await.unwrap();
    }
    tracker.log_dataset(&run, Dataset::new("a", "2").context("another")).await.unwrap();
    let newer = Dataset::new("a", "3");
    tracker.log_dataset(&run, newer.clone()).await.unwrap();
    assert_eq!(tracker.run(&run).await.unwrap().datasets, [test, newer, train]);
    assert!(tracker.run(&begin(&tracker).await).await.unwrap().datasets.is_empty());
    refused(tracker.log_dataset(&run, Dataset::new("", "1")).await, ErrorKind::Invalid);
    refused(tracker.log_dataset(&run, Dataset::new("a", "")).await, ErrorKind::Invalid);
    refused(tracker.log_dataset("nope", Dataset::new("a", "1")).await, ErrorKind::NotFound);
}

async fn finds_runs(tracker: Tracker, _: &Path) {
    let mut ids = Vec::new();
    for (index, auc) in [0.5, 0.9, f64::NAN, 0.9, f64::INFINITY].into_iter().enumerate() {
        let run = tracker.start_run(NewRun::new("e", format!("r{index}")).tag("odd", (index % 2).to_string())).await;
        let run = run.unwrap().id;
        tracker.log_params(&run, map(&[("depth", &index.to_string())])).await.unwrap();
        tracker.log_metrics(&run, vec![Metric::new("auc", 0.0), Metric::new("auc", auc)]).await.unwrap();
        if index < 2 {
            tracker.end_run(&run, RunStatus::Finished).await.unwrap();
        }
        ids.push(run);
    }
    tracker.start_run(NewRun::new("other", "")).await.unwrap();
    let found = async |search: RunSearch| -> Vec<usize> {
        let found = tracker.search_runs(search).await.unwrap();
        found.iter().map(|run| ids.iter().position(|id| *id == run.id).unwrap_or(9)).collect()
    };
    let search = || RunSearch::new("e");
    assert_eq!(found(search()).await, [4, 3, 2, 1, 0]);
    assert_eq!(found(search().metric("auc", Comparison::GreaterOrEqual, 0.9)).await, [4, 3, 1]);
    assert_eq!(found(search().metric("auc", Comparison::Less, 0.9)).await, [0], "the last value counts");
    let by = RunKey::Metric("auc".into());
    assert_eq!(found(search().descending(by.clone()).limit(2)).await, [4, 3]);
    assert_eq!(found(search().ascending(by)).await, [0, 3, 1, 4, 2]);
    assert_eq!(found(search().tag("odd", "1").ascending(RunKey::Parameter("depth".into()))).await, [1, 3]);
    assert_eq!(found(search().status(RunStatus::Finished)).await, [1, 0]);
    assert_eq!(found(search().filter(RunFilter::Name(Match::IsNot, "r4".into())).limit(1)).await, [3]);
    assert_eq!(found(search().experiment("other").experiment("e").limit(2)).await, [9, 4]);
    assert!(found(search().parameter("depth", "7")).await.is_empty());
    refused(tracker.search_runs(RunSearch::new("nope")).await, ErrorKind::NotFound);
}

async fn ends_runs(tracker: Tracker, _: &Path) {
    for status in [RunStatus::Finished, RunStatus::Failed, RunStatus::Cancelled] {
        let run = begin(&tracker).await;
        refused(tracker.end_run(&run, RunStatus::Running).await, ErrorKind::Invalid);
        tracker.end_run(&run, status).await.unwrap();
        let ended = tracker.run(&run).await.unwrap();
        assert_eq!(ended.status, status);
        assert!(ended.ended.is_some_and(|end| end >= ended.started));
    }
    let run = begin(&tracker).await;
    tracker.end_run(&run, RunStatus::Finished).await.unwrap();
    tracker.set_tags(&run, map(&[("reviewed", "yes")])).await.unwrap();
    tracker.end_run(&run, RunStatus::Failed).await.unwrap();
    let ended = tracker.run(&run).await.unwrap();
    assert_eq!((ended.status, ended.tags), (RunStatus::Failed, map(&[("reviewed", "yes")])));
}

async fn lists_the_newest_first(tracker: Tracker, _: &Path) {
    let mut begun = Vec::new();
    for n in 0..50 {
        begun.push(tracker.start_run(NewRun::new("many", n.to_string())).await.unwrap().id);
    }
    tracker.start_run(NewRun::new("other", "")).await.unwrap();
    tracker.log_params(&begun[3], map(&[("a", "1")])).await.unwrap();
    let runs = tracker.runs("many").await.unwrap();
    begun.reverse();
    assert_eq!(runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), begun);
    assert_eq!(runs[46], tracker.run(&begun[46]).await.unwrap());
    assert_eq!(runs[46].parameters, map(&[("a", "1")]));
}

async fn does_not_know_other_runs(tracker: Tracker, folder: &Path) {
    let known = begin(&tracker).await;
    std::fs::write(folder.join("outside.jsonl"), "{}").unwrap();
    let upper = known.to_uppercase();
    for run in ["", "nope", &"0".repeat(32), &upper, "../../outside", "..", "a/b", "\0", "\u{1f600}"] {
        if run == known {
            continue;
        }
        refused(tracker.log_params(run, map(&[("a", "1")])).await, ErrorKind::NotFound);
        refused(tracker.log_metrics(run, vec![Metric::new("a", 1.0)]).await, ErrorKind::NotFound);
        refused(tracker.set_tags(run, map(&[("a", "1")])).await, ErrorKind::NotFound);
        refused(tracker.log_artifact(run, "a", vec![1]).await, ErrorKind::NotFound);
        refused(tracker.artifact(run, "a").await, ErrorKind::NotFound);
        refused(tracker.end_run(run, RunStatus::Finished).await, ErrorKind::NotFound);
        refused(tracker.run(run).await, ErrorKind::NotFound);
        refused(tracker.metric_history(run, "a").await, ErrorKind::NotFound);
    }
    refused(tracker.runs("nope").await, ErrorKind::NotFound);
    refused(tracker.runs("").await, ErrorKind::NotFound);
    refused(tracker.artifact(&known, "a").await, ErrorKind::NotFound);
    refused(tracker.artifact(&known, "a/b").await, ErrorKind::NotFound);
}

async fn refuses_empty_names(tracker: Tracker, _: &Path) {
    refused(tracker.start_run(NewRun::new("", "run")).await, ErrorKind::Invalid);
    refused(tracker.start_run(NewRun::new("e", "run").tag("", "x")).await, ErrorKind::Invalid);
    let run = begin(&tracker).await;
    refused(tracker.log_params(&run, map(&[("", "1")])).await, ErrorKind::Invalid);
    refused(tracker.set_tags(&run, map(&[("", "1")])).await, ErrorKind::Invalid);
    refused(tracker.log_metrics(&run, vec![Metric::new("", 1.0)]).await, ErrorKind::Invalid);
}

/// Names are text: none of them becomes part of a path.
async fn takes_any_name(tracker: Tracker, folder: &Path) {
    let names = [
        "préférences 🦀 実験",
        "../../escape",
        "/absolute",
        "a\nb",
        "C:\\dir",
        "..",
        "tab\t\"quote\"",
        "\u{0}nul",
        " ",
    ];
    for name in names {
        let run = tracker.start_run(NewRun::new(name, name).tag(name, name)).await.unwrap();
        tracker.log_params(&run.id, map(&[(name, name)])).await.unwrap();
        tracker.log_metrics(&run.id, vec![Metric::new(name, 1.0)]).await.unwrap();
        tracker.log_artifact(&run.id, "data/préf 実験.bin", vec![7]).await.unwrap();
        let runs = tracker.runs(name).await.unwrap();
        assert_eq!(runs.len(), 1, "{name:?}");
        assert_eq!((runs[0].experiment.as_str(), runs[0].name.as_str()), (name, name));
        assert_eq!((&runs[0].parameters, &runs[0].tags), (&map(&[(name, name)]), &map(&[(name, name)])));
        assert_eq!(tracker.metric_history(&run.id, name).await.unwrap().len(), 1);
        assert_eq!(runs[0].artifacts, ["data/préf 実験.bin"]);
    }
    let beside: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["store"]);
}

async fn stores_artifacts(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for (path, contents) in
        [("model.bin", &binary[..]), ("plots/a/roc.png", b"\0\n\r\xff"), ("empty", b""), (".hidden", b"h")]
    {
        tracker.log_artifact(&run, path, contents.to_vec()).await.unwrap();
        assert_eq!(tracker.artifact(&run, path).await.unwrap(), contents);
    }
    assert_eq!(tracker.run(&run).await.unwrap().artifacts, [".hidden", "empty", "model.bin", "plots/a/roc.png"]);
    let other = begin(&tracker).await;
    refused(tracker.artifact(&other, "model.bin").await, ErrorKind::NotFound);
    assert!(tracker.run(&other).await.unwrap().artifacts.is_empty());
}

async fn replaces_artifacts(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    for contents in [&b"longer than the second"[..], b"second"] {
        tracker.log_artifact(&run, "a", contents.to_vec()).await.unwrap();
        assert_eq!(tracker.artifact(&run, "a").await.unwrap(), contents);
    }
    assert_eq!(tracker.run(&run).await.unwrap().artifacts, ["a"]);
}

async fn refuses_paths_that_leave(tracker: Tracker, folder: &Path) {
    let run = begin(&tracker).await;
    std::fs::write(folder.join("secret"), "s").unwrap();
    let (part, path) = ("x".repeat(256), "x/".repeat(600) + "x");
    let hostile = [
        "",
        ".",
        "..",
        "/",
        "//",
        "a//b",
        "a/",
        "/etc/passwd",
        "../secret",
        "../../../secret",
        "a/../b",
        "a/../../../../secret",
        "./a",
        "a/.",
        "a/..",
        "\0",
        "a\0b",
        "a\nb",
        "a\x7f",
        "\\",
        "..\\secret",
        "a\\b",
        "C:",
        "C:/windows",
        "c:\\x",
        "file:x",
        "\\\\server\\share",
        "a./b",
        "a ",
        "...",
        &part,
        &path,
    ];
    for path in hostile {
        let message = refused(tracker.log_artifact(&run, path, vec![1]).await, ErrorKind::Invalid);
        assert!(message.contains("artifact path"), "{path:?}: {message}");
        refused(tracker.artifact(&run, path).await, ErrorKind::Invalid);
    }
    assert!(tracker.run(&run).await.unwrap().artifacts.is_empty());
    assert_eq!(std::fs::read(folder.join("secret")).unwrap(), b"s");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2);
}

async fn loses_nothing_of_concurrent_calls(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    let tasks: Vec<_> = (0..16i64)
        .map(|task| {
            let (tracker, run) = (tracker.clone(), run.clone());
            tokio::spawn(async move {
                for n in 0..20 {
                    let metrics =
                        vec![Metric::new("shared", 1.0).step(task * 20 + n), Metric::new(format!("m{task}"), n as f64)];
                    tracker.log_metrics(&run, metrics).await.unwrap();
                }
                tracker.log_params(&run, map(&[(&format!("p{task}"), "x"), ("shared", "same")])).await.unwrap();
                tracker.set_tags(&run, map(&[(&format!("t{task}"), "x")])).await.unwrap();
                tracker.log_artifact(&run, &format!("files/{task}"), vec![task as u8; 1000]).await.unwrap();
                tracker.start_run(NewRun::new("experiment", "more")).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let history = tracker.metric_history(&run, "shared").await.unwrap();
    assert_eq!(history.iter().map(|metric| metric.step).collect::<BTreeSet<_>>().len(), 320);
    let found = tracker.run(&run).await.unwrap();
    assert_eq!(
        (found.parameters.len(), found.tags.len(), found.artifacts.len(), found.metrics.len()),
        (17, 16, 16, 17)
    );
    assert!((0..16).all(|task| found.metrics[&format!("m{task}")] == 19.0));
    assert_eq!(tracker.runs("experiment").await.unwrap().len(), 17);
}

/// One value wins, all others hear of it.
async fn decides_a_race_for_a_parameter(tracker: Tracker, _: &Path) {
    let run = begin(&tracker).await;
    let tasks: Vec<_> = (0..8)
        .map(|n: i32| {
            let (tracker, run) = (tracker.clone(), run.clone());
            tokio::spawn(async move { tracker.log_params(&run, map(&[("seed", &n.to_string())])).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => won += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid),
        }
    }
    assert_eq!(won, 1);
}

async fn shows_everything_after_reopening<F: Future<Output = Tracker>>(open: impl Fn() -> F) {
    let tracker = open().await;
    let run = tracker.start_run(NewRun::new("e", "r").tag("t", "1")).await.unwrap().id;
    tracker.log_params(&run, map(&[("p", "1")])).await.unwrap();
    tracker.log_metrics(&run, vec![Metric::new("m", 1.5).step(3)]).await.unwrap();
    tracker.log_artifact(&run, "a/b", vec![1, 2, 3]).await.unwrap();
    tracker.log_dataset(&run, Dataset::new("d", "1").source("x")).await.unwrap();
    tracker.end_run(&run, RunStatus::Finished).await.unwrap();
    let (before, history) = (tracker.run(&run).await.unwrap(), tracker.metric_history(&run, "m").await.unwrap());
    drop(tracker);

    let tracker = open().await;
    assert_eq!(tracker.run(&run).await.unwrap(), before);
    assert_eq!(tracker.metric_history(&run, "m").await.unwrap(), history);
    assert_eq!(tracker.runs("e").await.unwrap(), [before]);
    assert_eq!(tracker.artifact(&run, "a/b").await.unwrap(), [1, 2, 3]);
    refused(tracker.log_params(&run, map(&[("p", "2")])).await, ErrorKind::Invalid);
}

async fn lets_two_instances_share_a_folder<F: Future<Output = Tracker>>(open: impl Fn() -> F) {
    let (first, second) = tokio::join!(open(), open());
    let run = begin(&first).await;
    second.log_params(&run, map(&[("p", "1")])).await.unwrap();
    refused(first.log_params(&run, map(&[("p", "2")])).await, ErrorKind::Invalid);
    second.log_artifact(&run, "a", vec![1]).await.unwrap();
    begin(&second).await;
    second.end_run(&run, RunStatus::Finished).await.unwrap();
    assert_eq!(first.run(&run).await.unwrap(), second.run(&run).await.unwrap());
    assert_eq!(first.run(&run).await.unwrap().status, RunStatus::Finished);
    assert_eq!(first.runs("experiment").await.unwrap(), second.runs("experiment").await.unwrap());
    assert_eq!(first.runs("experiment").await.unwrap().len(), 2);
}

async fn lets_many_instances_write_one_run<F: Future<Output = Tracker>>(open: impl Fn() -> F) {
    let first = open().await;
    let run = begin(&first).await;
    let mut tasks = Vec::new();
    for instance in 0..4i64 {
        let (tracker, run) = (open().await, run.clone());
        tasks.push(tokio::spawn(async move {
            for n in 0..50 {
                tracker.log_metrics(&run, vec![Metric::new("m", 1.0).step(instance * 50 + n)]).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let history = first.metric_history(&run, "m").await.unwrap();
    assert_eq!(history.iter().map(|metric| metric.step).collect::<BTreeSet<_>>().len(), 200);
}

/// The variable that tells the process of [`write_until_killed`] which folder to use.
const FOLDER: &str = "MLX_TEST_TRACKER_FOLDER";

/// What a process was told is recorded stays recorded when it is killed while it writes, beside another writer.
/// `test` names an ignored test that calls [`write_until_killed`].
pub(super) async fn survives_a_kill<O, F>(open: O, test: &str)
where
    O: Fn(PathBuf) -> F,
    F: Future<Output = Tracker>,
{
    let folder = tempfile::tempdir().unwrap();
    let tracker = open(folder.path().to_owned()).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(|line| line.ok())
        .filter_map(|line| Some(line.split_once("recorded ")?.1.to_owned()));
    let run = told.next().expect("the id of the child's run");
    let mut last = 0;
    for n in 0..100i64 {
        tracker.log_metrics(&run, vec![Metric::new("parent", 1.0).step(n)]).await.unwrap();
        last = told.next().expect("a step").parse().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    last = told.last().map_or(last, |step| step.parse::<i64>().unwrap());

    let steps = async |name: &str| -> Vec<i64> {
        let history = tracker.metric_history(&run, name).await.unwrap();
        history.iter().map(|metric| metric.step).collect()
    };
    assert_eq!(steps("parent").await, Vec::from_iter(0..100));
    let child = steps("child").await;
    assert!(child.len() as i64 > last, "{} of {last} steps", child.len());
    assert_eq!(child, Vec::from_iter(0..child.len() as i64), "no step is missing or twice");
    tracker.log_metrics(&run, vec![Metric::new("after", 1.0)]).await.unwrap();
    assert_eq!(tracker.runs("killed").await.unwrap()[0].metrics["after"], 1.0);
}

/// The other side of [`survives_a_kill`].
pub(super) async fn write_until_killed<F: Future<Output = Tracker>>(open: impl Fn(PathBuf) -> F) {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let tracker = open(folder.into()).await;
    let run = tracker.start_run(NewRun::new("killed", "child")).await.unwrap().id;
    println!("\nrecorded {run}");
    for n in 0.. {
        tracker.log_metrics(&run, vec![Metric::new("child", 1.0).step(n)]).await.unwrap();
        println!("recorded {n}");
    }
}
