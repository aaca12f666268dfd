use super::*;
use crate::experiment_tracker::suite;
use mlx_core::prelude::HealthStatus;
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
};

async fn open(path: &Path) -> JsonlTracker {
    let config = JsonlConfig { path: path.to_owned(), lock_timeout: Duration::from_secs(20) };
    JsonlTracker::initialize(config, &InitContext::alone("tracker")).await.unwrap()
}

fn file(folder: &Path, run: &str) -> PathBuf {
    folder.join("runs").join(format!("{run}.jsonl"))
}

fn add(folder: &Path, run: &str, bytes: &[u8]) {
    OpenOptions::new().append(true).open(file(folder, run)).unwrap().write_all(bytes).unwrap();
}

fn parameter(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

async fn shared(path: PathBuf) -> Arc<dyn ExperimentTracker> {
    Arc::new(open(&path).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn does_what_every_tracker_does() {
    suite::run(shared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_what_a_killed_process_recorded() {
    suite::survives_a_kill(shared, "experiment_tracker::jsonl::tests::another_process").await;
}

#[tokio::test]
#[ignore = "the other process of the test above"]
async fn another_process() {
    suite::write_until_killed(shared).await;
}

#[tokio::test]
async fn a_torn_last_line_is_reported_and_dropped() {
    // Cut off at each byte, also within a character, and the zeros that a file system may leave.
    let torn = r#"{"event":"params","params":{"a":"é"}}"#.as_bytes();
    for left in (1..torn.len()).map(|end| &torn[..end]).chain([torn, &[0; 4096]]) {
        let folder = tempfile::tempdir().unwrap();
        let tracker = open(folder.path()).await;
        let run = tracker.start_run(NewRun::new("e", "r")).await.unwrap().id;
        tracker.log_params(&run, parameter("p", "1")).await.unwrap();
        assert!(tracker.health().await.unwrap().is_healthy());
        add(folder.path(), &run, left);

        assert_eq!(tracker.run(&run).await.unwrap().parameters, parameter("p", "1"));
        assert_eq!(tracker.runs("e").await.unwrap().len(), 1);
        let health = tracker.health().await.unwrap();
        assert_eq!(health.status, HealthStatus::Degraded);
        assert!(health.message.contains(&run), "{}", health.message);

        tracker.log_metrics(&run, vec![Metric::new("m", 1.0)]).await.unwrap();
        assert!(tracker.health().await.unwrap().is_healthy());
        assert_eq!(tracker.run(&run).await.unwrap().metrics["m"], 1.0);
        assert_eq!(fs::read_to_string(file(folder.path(), &run)).unwrap().lines().count(), 3);
    }
}

#[tokio::test]
async fn a_damaged_line_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = open(folder.path()).await;
    let run = tracker.start_run(NewRun::new("e", "r")).await.unwrap().id;
    add(folder.path(), &run, b"{\"event\":\"par\n{\"event\":\"tags\",\"tags\":{}}\n");
    for error in [tracker.run(&run).await.unwrap_err(), tracker.runs("e").await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().contains(&format!("{run}.jsonl, line 2")), "{error}");
    }
}

#[tokio::test]
async fn a_file_without_a_start_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = open(folder.path()).await;
    for contents in ["", "{\"event\":\"tags\",\"tags\":{}}\n"] {
        let run = "0".repeat(32);
        fs::write(file(folder.path(), &run), contents).unwrap();
        let error = tracker.run(&run).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Failed && error.to_string().contains(&run), "{error}");
        assert_eq!(tracker.runs("e").await.unwrap_err().kind(), ErrorKind::Failed);
    }
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = open(folder.path()).await;
    let run = "0".repeat(32);
    fs::write(file(folder.path(), &run), "{\"event\":\"begin\",\"format\":2}\n").unwrap();
    let error = tracker.run(&run).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("format 2"), "{error}");
}

#[tokio::test]
async fn a_file_that_stays_locked_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let config = JsonlConfig { path: folder.path().to_owned(), lock_timeout: Duration::from_millis(50) };
    let tracker = JsonlTracker::initialize(config, &InitContext::alone("tracker")).await.unwrap();
    let run = tracker.start_run(NewRun::new("e", "r")).await.unwrap().id;
    let other = File::open(file(folder.path(), &run)).unwrap();
    other.lock().unwrap();
    let error = tracker.log_params(&run, parameter("p", "1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(tracker.run(&run).await.unwrap_err().kind(), ErrorKind::Unavailable);
    drop(other);
    tracker.log_params(&run, parameter("p", "1")).await.unwrap();
}

#[tokio::test]
async fn the_same_parameter_again_adds_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = open(folder.path()).await;
    let run = tracker.start_run(NewRun::new("e", "r")).await.unwrap().id;
    for _ in 0..3 {
        tracker.log_params(&run, parameter("p", "1")).await.unwrap();
    }
    assert_eq!(fs::read_to_string(file(folder.path(), &run)).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn other_files_in_the_folder_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = open(folder.path()).await;
    tracker.start_run(NewRun::new("e", "r")).await.unwrap();
    fs::write(folder.path().join("runs/notes.jsonl"), "mine").unwrap();
    fs::write(folder.path().join("runs/README.md"), "mine").unwrap();
    assert_eq!(tracker.runs("e").await.unwrap().len(), 1);
    assert!(tracker.health().await.unwrap().is_healthy());
}

#[tokio::test]
async fn health_sees_a_folder_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = open(folder.path()).await;
    fs::remove_dir_all(folder.path().join("runs")).unwrap();
    assert_eq!(tracker.health().await.unwrap().status, HealthStatus::Unhealthy);
}

#[tokio::test]
async fn it_starts_from_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"path": folder.path().join("made/below"), "lock_timeout": "1s"});
    let started = registry().create::<dyn ExperimentTracker>("jsonl", config).await.unwrap();
    started.start_run(NewRun::new("e", "r")).await.unwrap();
    assert!(Handle::health(&started).await.unwrap().is_healthy());
    started.shutdown().await.unwrap();
}

#[test]
fn all_settings_have_defaults() {
    let config: JsonlConfig = mlx_core::config::from_json(json!({})).unwrap();
    assert_eq!((config.path, config.lock_timeout), (PathBuf::from("mlruns"), Duration::from_secs(10)));
}
