use super::*;
use mlx_core::prelude::HealthStatus;
use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

async fn open(path: &Path) -> LocalRegistry {
    let config = LocalConfig { path: path.to_owned(), busy_timeout: Duration::from_secs(20) };
    LocalRegistry::initialize(config, &InitContext::alone("registry")).await.unwrap()
}

async fn new() -> (tempfile::TempDir, LocalRegistry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    (folder, registry)
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn entry(name: &str, bytes: &[u8]) -> ModelEntry {
    let signature = ModelSignature {
        features: vec!["alter".into(), "größe \"x\"".into()],
        target: "churn".into(),
        classes: vec!["no".into(), "yes".into()],
    };
    let metadata = map(&[("trainer", "test"), ("ünï", "\n")]);
    let model = Model { format: "test/1".into(), bytes: bytes.to_vec(), signature, metadata };
    let metrics = BTreeMap::from([("auc".to_owned(), 0.9), ("loss".to_owned(), f64::INFINITY)]);
    let mut entry = ModelEntry::new(name, model).run_id("run-1").metrics(metrics);
    entry.tags = map(&[("team", "blue")]);
    entry
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

fn blobs(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder.join("blobs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_model_comes_back_as_it_was_stored() {
    let (folder, registry) = new().await;
    let entry = entry("churn", &(0..=255).collect::<Vec<u8>>());
    let stored = registry.register(entry.clone()).await.unwrap();
    assert_eq!((stored.name.as_str(), stored.version), ("churn", 1));
    assert_eq!(stored.sha256, "40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880");
    assert_eq!((&stored.metrics, &stored.tags, stored.run_id.as_deref()), (&entry.metrics, &entry.tags, Some("run-1")));
    assert_eq!(blobs(folder.path()), BTreeSet::from([stored.sha256.clone()]));
    for version in [VersionRef::Latest, VersionRef::Number(1)] {
        assert_eq!(registry.version("churn", version.clone()).await.unwrap(), stored);
        assert_eq!(registry.load("churn", version).await.unwrap(), entry.model);
    }
    drop(registry);
    let registry = open(folder.path()).await;
    assert_eq!(registry.versions("churn").await.unwrap(), [stored]);
    assert_eq!(registry.load("churn", VersionRef::Latest).await.unwrap(), entry.model);
}

#[tokio::test]
async fn versions_count_from_one_for_each_model() {
    let (_folder, registry) = new().await;
    for (name, number) in [("b", 1), ("b", 2), ("a", 1), ("b", 3)] {
        assert_eq!(registry.register(entry(name, b"x")).await.unwrap().version, number);
    }
    assert_eq!(registry.models().await.unwrap(), ["a", "b"]);
    let versions = registry.versions("b").await.unwrap();
    assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(registry.version("b", VersionRef::Latest).await.unwrap().version, 3);
}

#[tokio::test]
async fn nan_and_empty_things_are_kept() {
    let (_folder, registry) = new().await;
    let model = Model {
        format: String::new(),
        bytes: Vec::new(),
        signature: ModelSignature::default(),
        metadata: BTreeMap::new(),
    };
    let metrics = BTreeMap::from([("nan".to_owned(), f64::NAN)]);
    registry.register(ModelEntry::new("m", model.clone()).metrics(metrics)).await.unwrap();
    let stored = registry.version("m", VersionRef::Latest).await.unwrap();
    assert!(stored.metrics["nan"].is_nan());
    assert_eq!(stored.run_id, None);
    assert_eq!(registry.load("m", VersionRef::Latest).await.unwrap(), model);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_folder, registry) = new().await;
    for version in [VersionRef::Latest, VersionRef::Number(1), VersionRef::Alias("champion".into())] {
        refused(registry.version("none", version.clone()).await, ErrorKind::NotFound);
        refused(registry.load("none", version).await, ErrorKind::NotFound);
    }
    refused(registry.versions("none").await, ErrorKind::NotFound);
    refused(registry.set_alias("none", "champion", 1).await, ErrorKind::NotFound);
    refused(registry.delete_version("none", 1).await, ErrorKind::NotFound);
    assert!(registry.models().await.unwrap().is_empty());

    registry.register(entry("m", b"x")).await.unwrap();
    for number in [0, 2, u64::MAX] {
        let message = refused(registry.load("m", VersionRef::Number(number)).await, ErrorKind::NotFound);
        assert!(message.contains(&number.to_string()) && message.contains("newest is 1"), "{message}");
        refused(registry.set_alias("m", "champion", number).await, ErrorKind::NotFound);
        refused(registry.delete_version("m", number).await, ErrorKind::NotFound);
    }
    registry.set_alias("m", "champion", 1).await.unwrap();
    let message = refused(registry.version("m", VersionRef::Alias("champoin".into())).await, ErrorKind::NotFound);
    assert!(message.contains("champoin") && message.contains("it has champion"), "{message}");
}

#[tokio::test]
async fn names_are_text() {
    let (folder, registry) = new().await;
    refused(registry.register(entry("", b"x")).await, ErrorKind::Invalid);
    for name in ["../../escape", "/abs", "a\nb", "modèle 実験 🦀", "..", "\0"] {
        registry.register(entry(name, name.as_bytes())).await.unwrap();
        registry.set_alias(name, name, 1).await.unwrap();
        let found = registry.version(name, VersionRef::Alias(name.into())).await.unwrap();
        assert_eq!((found.name.as_str(), &found.aliases[..]), (name, &[name.to_owned()][..]));
        assert_eq!(registry.load(name, VersionRef::Latest).await.unwrap().bytes, name.as_bytes());
    }
    refused(registry.set_alias("..", "", 1).await, ErrorKind::Invalid);
    let files: BTreeSet<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(
        files.iter().all(|file| file == "blobs" || file == "partial" || file.starts_with("registry.db")),
        "{files:?}"
    );
}

#[tokio::test]
async fn an_alias_moves_and_goes_with_its_version() {
    let (_folder, registry) = new().await;
    for bytes in [b"1", b"2"] {
        registry.register(entry("m", bytes)).await.unwrap();
    }
    let champion = || VersionRef::Alias("champion".into());
    registry.set_alias("m", "champion", 1).await.unwrap();
    registry.set_alias("m", "a", 1).await.unwrap();
    assert_eq!(registry.version("m", champion()).await.unwrap().aliases, ["a", "champion"]);
    registry.set_alias("m", "champion", 2).await.unwrap();
    assert_eq!(registry.load("m", champion()).await.unwrap().bytes, b"2");
    assert_eq!(registry.version("m", VersionRef::Number(1)).await.unwrap().aliases, ["a"]);
    refused(registry.set_alias("m", "champion", 3).await, ErrorKind::NotFound);
    assert_eq!(registry.version("m", champion()).await.unwrap().version, 2, "unchanged");
    registry.delete_version("m", 2).await.unwrap();
    refused(registry.version("m", champion()).await, ErrorKind::NotFound);
}

#[tokio::test]
async fn the_number_of_a_deleted_version_is_not_used_again() {
    let (folder, registry) = new().await;
    for bytes in [b"1", b"2"] {
        registry.register(entry("m", bytes)).await.unwrap();
    }
    registry.delete_version("m", 2).await.unwrap();
    assert_eq!(registry.version("m", VersionRef::Latest).await.unwrap().version, 1);
    refused(registry.delete_version("m", 2).await, ErrorKind::NotFound);
    registry.delete_version("m", 1).await.unwrap();
    refused(registry.versions("m").await, ErrorKind::NotFound);
    assert!(registry.models().await.unwrap().is_empty());
    drop(registry);
    let registry = open(folder.path()).await;
    assert_eq!(registry.register(entry("m", b"3")).await.unwrap().version, 3);
}

#[tokio::test]
async fn bytes_live_as_long_as_a_version_has_them() {
    let (folder, registry) = new().await;
    for name in ["a", "b", "b"] {
        registry.register(entry(name, b"same")).await.unwrap();
    }
    assert_eq!(blobs(folder.path()).len(), 1);
    registry.delete_version("b", 1).await.unwrap();
    registry.delete_version("a", 1).await.unwrap();
    assert_eq!(registry.load("b", VersionRef::Latest).await.unwrap().bytes, b"same");
    registry.delete_version("b", 2).await.unwrap();
    assert!(blobs(folder.path()).is_empty());
}

#[tokio::test]
async fn a_damaged_file_is_named_and_repaired_by_registering_again() {
    let (folder, registry) = new().await;
    let stored = registry.register(entry("m", &[7; 1000])).await.unwrap();
    let path = folder.path().join("blobs").join(&stored.sha256);
    let mut flipped = vec![7; 1000];
    flipped[500] ^= 1;
    for damaged in [&flipped[..], &flipped[..999], b""] {
        fs::write(&path, damaged).unwrap();
        let message = refused(registry.load("m", VersionRef::Latest).await, ErrorKind::Failed);
        assert!(message.contains(path.to_str().unwrap()) && message.contains("damaged"), "{message}");
    }
    registry.register(entry("m", &[7; 1000])).await.unwrap();
    assert_eq!(registry.load("m", VersionRef::Number(1)).await.unwrap().bytes, [7; 1000]);

    fs::remove_file(&path).unwrap();
    let message = refused(registry.load("m", VersionRef::Latest).await, ErrorKind::Failed);
    assert!(message.contains(path.to_str().unwrap()) && message.contains("missing"), "{message}");
    registry.delete_version("m", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_registrations_get_consecutive_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let registries = [Arc::new(open(folder.path()).await), Arc::new(open(folder.path()).await)];
    let tasks: Vec<_> = (0..16u8)
        .map(|n| {
            let registry = Arc::clone(&registries[usize::from(n) % 2]);
            tokio::spawn(async move { (n, registry.register(entry("m", &[n % 5])).await.unwrap().version) })
        })
        .collect();
    let mut numbers = BTreeSet::new();
    for task in tasks {
        let (n, version) = task.await.unwrap();
        numbers.insert(version);
        assert_eq!(registries[0].load("m", VersionRef::Number(version)).await.unwrap().bytes, [n % 5]);
    }
    assert_eq!(numbers, (1..=16).collect());
}

/// Each round deletes the only version of some bytes while another instance registers the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn no_record_loses_its_bytes_to_a_concurrent_deletion() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()).await, open(folder.path()).await);
    let mut last = one.register(entry("m", b"same")).await.unwrap().version;
    for _ in 0..50 {
        let (deleted, registered) = tokio::join!(one.delete_version("m", last), two.register(entry("m", b"same")));
        deleted.unwrap();
        last = registered.unwrap().version;
        assert_eq!(one.load("m", VersionRef::Latest).await.unwrap().bytes, b"same");
    }
}

#[tokio::test]
async fn a_failed_registration_leaves_nothing() {
    let (folder, registry) = new().await;
    registry.register(entry("m", b"1")).await.unwrap();
    let database = rusqlite::Connection::open(folder.path().join("registry.db")).unwrap();
    database
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON metrics BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    refused(registry.register(entry("m", b"2")).await, ErrorKind::Failed);
    refused(registry.register(entry("other", b"3")).await, ErrorKind::Failed);
    database.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(registry.models().await.unwrap(), ["m"]);
    assert_eq!(registry.register(entry("m", b"4")).await.unwrap().version, 2);
    assert_eq!(fs::read_dir(folder.path().join("partial")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (folder, registry) = new().await;
    drop(registry);
    let database = rusqlite::Connection::open(folder.path().join("registry.db")).unwrap();
    database.pragma_update(None, "user_version", 2).unwrap();
    let config = LocalConfig { path: folder.path().to_owned(), busy_timeout: Duration::from_secs(1) };
    let opened = LocalRegistry::initialize(config, &InitContext::alone("registry")).await;
    let message = refused(opened, ErrorKind::Unsupported);
    assert!(message.contains("registry.db") && message.contains("version 2"), "{message}");
}

#[tokio::test]
async fn health_sees_a_locked_database_and_a_folder_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalConfig { path: folder.path().to_owned(), busy_timeout: Duration::from_millis(50) };
    let registry = LocalRegistry::initialize(config, &InitContext::alone("registry")).await.unwrap();
    assert!(registry.health().await.unwrap().is_healthy());
    let other = rusqlite::Connection::open(folder.path().join("registry.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(registry.health().await.unwrap().status, HealthStatus::Degraded);
    refused(registry.register(entry("m", b"x")).await, ErrorKind::Unavailable);
    other.execute_batch("ROLLBACK").unwrap();
    fs::remove_dir_all(folder.path().join("partial")).unwrap();
    assert_eq!(registry.health().await.unwrap().status, HealthStatus::Unhealthy);
}

#[tokio::test]
async fn it_starts_from_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"path": folder.path().join("made/below"), "busy_timeout": "1s"});
    let started = registry().create::<dyn ModelRegistry>("local", config).await.unwrap();
    started.register(entry("m", b"x")).await.unwrap();
    assert!(Handle::health(&started).await.unwrap().is_healthy());
    started.shutdown().await.unwrap();
}

#[test]
fn all_settings_have_defaults() {
    let config: LocalConfig = mlx_core::config::from_json(json!({})).unwrap();
    assert_eq!((config.path, config.busy_timeout), (PathBuf::from("mlmodels"), Duration::from_secs(10)));
}
