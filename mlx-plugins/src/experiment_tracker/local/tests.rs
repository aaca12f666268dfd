use super::*;
use crate::experiment_tracker::suite;
use mlx_core::prelude::HealthStatus;
use std::{path::Path, sync::Arc};

async fn open(path: &Path) -> LocalTracker {
    let config = LocalConfig { path: path.to_owned(), busy_timeout: Duration::from_secs(20) };
    LocalTracker::initialize(config, &InitContext::alone("tracker")).await.unwrap()
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
    suite::survives_a_kill(shared, "experiment_tracker::local::tests::another_process").await;
}

#[tokio::test]
#[ignore = "the other process of the test above"]
async fn another_process() {
    suite::write_until_killed(shared).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).await);
    let database = rusqlite::Connection::open(folder.path().join("tracking.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    let config = LocalConfig { path: folder.path().to_owned(), busy_timeout: Duration::from_secs(1) };
    let error = LocalTracker::initialize(config, &InitContext::alone("tracker")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message = error.to_string();
    assert!(message.contains("tracking.db") && message.contains("version 99"), "{message}");
}

/// The tables are documented, for programs that copy runs elsewhere.
#[tokio::test]
async fn runs_can_be_read_with_plain_sql() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = open(folder.path()).await;
    let first = tracker.start_run(NewRun::new("e", "1")).await.unwrap();
    let second = tracker.start_run(NewRun::new("e", "2")).await.unwrap();
    tracker.log_metrics(&second.id, vec![Metric::new("m", f64::NAN), Metric::new("m", 2.0).step(5)]).await.unwrap();
    tracker.end_run(&second.id, RunStatus::Finished).await.unwrap();

    let database = rusqlite::Connection::open(folder.path().join("tracking.db")).unwrap();
    let copied: i64 = database.query_row("SELECT seq FROM runs WHERE id = ?1", [&first.id], |row| row.get(0)).unwrap();
    let (seq, id, status): (i64, String, String) = database
        .query_row("SELECT seq, id, status FROM runs WHERE seq > ?1", [copied], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!((id, status.as_str()), (second.id, "finished"));
    let values: Vec<(Option<f64>, i64)> = database
        .prepare("SELECT value, step FROM metrics WHERE run = ?1 ORDER BY seq")
        .unwrap()
        .query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(values, [(None, 0), (Some(2.0), 5)]);
}

#[tokio::test]
async fn health_sees_a_folder_that_is_gone_and_a_database_that_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalConfig { path: folder.path().to_owned(), busy_timeout: Duration::from_millis(50) };
    let tracker = LocalTracker::initialize(config, &InitContext::alone("tracker")).await.unwrap();
    assert!(tracker.health().await.unwrap().is_healthy());

    let other = rusqlite::Connection::open(folder.path().join("tracking.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(tracker.health().await.unwrap().status, HealthStatus::Degraded);
    let error = tracker.start_run(NewRun::new("e", "r")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(tracker.health().await.unwrap().is_healthy());

    std::fs::remove_dir_all(folder.path().join("partial")).unwrap();
    let health = tracker.health().await.unwrap();
    assert_eq!(health.status, HealthStatus::Unhealthy);
    assert!(health.message.contains("partial"), "{}", health.message);
}

#[tokio::test]
async fn a_path_that_is_a_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "").unwrap();
    let config = LocalConfig { path, busy_timeout: Duration::from_secs(1) };
    let error = LocalTracker::initialize(config, &InitContext::alone("tracker")).await.err().unwrap();
    assert!(error.to_string().contains("file"), "{error}");
}

#[tokio::test]
async fn it_starts_from_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"path": folder.path().join("made/below"), "busy_timeout": "1s"});
    let started = registry().create::<dyn ExperimentTracker>("local", config).await.unwrap();
    started.start_run(NewRun::new("e", "r")).await.unwrap();
    assert!(Handle::health(&started).await.unwrap().is_healthy());
    started.shutdown().await.unwrap();
}

#[test]
fn all_settings_have_defaults() {
    let config: LocalConfig = mlx_core::config::from_json(json!({})).unwrap();
    assert_eq!((config.path, config.busy_timeout), (PathBuf::from("mlruns"), Duration::from_secs(10)));
}
