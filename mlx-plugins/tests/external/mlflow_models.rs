//! The model registry `mlflow` against MLflow's own server; what it wrote is read back with MLflow's own client.

use super::{
    mlflow::server,
    server::{Server, python},
};
use mlx_core::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Registry = mlx_core::platform::Standalone<dyn ModelRegistry>;

async fn registry(server: &Server) -> Registry {
    mlx_core::registry().create("mlflow", json!({"url": server.url()})).await.unwrap()
}

fn entry(name: &str, bytes: &[u8]) -> ModelEntry {
    let signature = ModelSignature {
        features: vec!["alter".into(), "größe \"x\"".into()],
        target: "churn".into(),
        classes: vec!["no".into(), "yes".into()],
    };
    let metadata = BTreeMap::from([("trainer".to_owned(), "test".to_owned()), ("ünï".to_owned(), "\n: #".to_owned())]);
    let model = Model { format: "test/1".into(), bytes: bytes.to_vec(), signature, metadata };
    let metrics = BTreeMap::from([("auc".to_owned(), 1.0 / 3.0), ("loss".to_owned(), f64::INFINITY)]);
    let mut entry = ModelEntry::new(name, model).metrics(metrics);
    entry.tags.insert("team".into(), "blue 🦀".into());
    entry
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

/// Prints a model as the official client reads it.
const READ: &str = r#"
import hashlib, json, os, sys
import mlflow
from mlflow.models import Model
url, name = sys.argv[1:3]
mlflow.set_tracking_uri(url)
client = mlflow.MlflowClient()
def version(v):
    # The search does not tell the aliases.
    v = client.get_model_version(name, v.version)
    return [int(v.version), v.run_id or None, v.status, sorted(v.aliases), v.tags]
folder = mlflow.artifacts.download_artifacts(f"models:/{name}@champion")
model = Model.load(folder)
print(json.dumps({
    "versions": [version(v) for v in client.search_model_versions(f"name = '{name}'", order_by=["version_number"])],
    "files": sorted(os.listdir(folder)),
    "sha256": hashlib.sha256(open(os.path.join(folder, "model.bin"), "rb").read()).hexdigest(),
    "flavor": model.flavors["mlx"],
    "metadata": model.metadata,
    "model": client.get_logged_model(model.model_id).to_dictionary(),
}))
"#;

/// Registers a model as a user of MLflow does.
const WRITE: &str = r#"
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
class Constant(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return model_input
mlflow.pyfunc.log_model(name="m", python_model=Constant(), registered_model_name=sys.argv[2])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn models_are_read_back_by_the_official_client() {
    let server = server().await;
    let registry = registry(&server).await;
    let tracker: mlx_core::platform::Standalone<dyn ExperimentTracker> =
        mlx_core::registry().create("mlflow", json!({"url": server.url()})).await.unwrap();
    let run = tracker.start_run(NewRun::new("training", "first")).await.unwrap().id;
    assert!(registry.models().await.unwrap().is_empty());

    // Of a run of this server, of a run of another system, and of none; one of them large.
    let bytes: Vec<u8> = (0..=255).cycle().take(5_000_000).collect();
    let name = "churn 実験.v1 it's";
    let mut stored = Vec::new();
    for (bytes, run) in [(&bytes[..], Some(run.as_str())), (b"\0\r\n", Some("local-17")), (b"", None)] {
        let mut entry = entry(name, bytes);
        entry.run_id = run.map(str::to_owned);
        let version = registry.register(entry.clone()).await.unwrap();
        assert_eq!((&version.metrics, &version.tags, &version.run_id), (&entry.metrics, &entry.tags, &entry.run_id));
        assert_eq!(registry.load(name, VersionRef::Number(version.version)).await.unwrap(), entry.model);
        stored.push(version);
    }
    assert_eq!(stored.iter().map(|version| version.version).collect::<Vec<_>>(), [1, 2, 3]);
    registry.set_alias(name, "champion", 1).await.unwrap();
    registry.set_alias(name, "a", 1).await.unwrap();
    registry.set_alias(name, "challenger", 2).await.unwrap();
    stored[0].aliases = vec!["a".into(), "champion".into()];
    stored[1].aliases = vec!["challenger".into()];
    assert_eq!(registry.versions(name).await.unwrap(), stored.iter().rev().cloned().collect::<Vec<_>>());
    for (reference, index) in [
        (VersionRef::Latest, 2),
        (VersionRef::Number(1), 0),
        (VersionRef::Alias("champion".into()), 0),
        (VersionRef::Alias("challenger".into()), 1),
    ] {
        assert_eq!(registry.version(name, reference.clone()).await.unwrap(), stored[index], "{reference:?}");
    }
    assert_eq!(registry.load(name, VersionRef::Alias("champion".into())).await.unwrap().bytes, bytes);

    // The filter of the script has no way to quote a quote.
    let plain = "churn";
    let first = registry.register(entry(plain, &bytes).run_id(&run)).await.unwrap();
    registry.register(entry(plain, b"2").run_id("local-17")).await.unwrap();
    registry.set_alias(plain, "champion", 1).await.unwrap();
    let read: JsonValue = python("mlflow", READ, &[&server.url(), plain]).lines().last().unwrap().parse().unwrap();
    let tags = |sha: &JsonValue, more: JsonValue| {
        let mut tags = json!({
            "team": "blue 🦀", "mlx.sha256": sha, "mlx.metrics": "{\"auc\":0.3333333333333333,\"loss\":\"Infinity\"}",
        });
        tags.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tags
    };
    let second = registry.version(plain, VersionRef::Number(2)).await.unwrap().sha256;
    assert_eq!(
        read["versions"],
        json!([
            [1, run, "READY", ["champion"], tags(&json!(first.sha256), json!({}))],
            [2, null, "READY", [], tags(&json!(second), json!({"mlx.run_id": "local-17"}))],
        ])
    );
    // The client notes where the files came from.
    let files = json!(["MLmodel", "model.bin", "registered_model_meta"]);
    assert_eq!((&read["files"], &read["sha256"]), (&files, &json!(first.sha256)));
    assert_eq!(read["flavor"]["features"], json!(["alter", "größe \"x\""]));
    assert_eq!((&read["flavor"]["format"], &read["flavor"]["data"]), (&json!("test/1"), &json!("model.bin")));
    assert_eq!(read["metadata"], json!({"trainer": "test", "ünï": "\n: #"}));
    assert_eq!((&read["model"]["name"], &read["model"]["source_run_id"]), (&json!("churn"), &json!(run)));
    assert_eq!(read["model"]["status"], 2, "ready");

    // What others have registered.
    python("mlflow", WRITE, &[&server.url(), "theirs"]);
    let theirs = registry.version("theirs", VersionRef::Latest).await.unwrap();
    assert_eq!((theirs.version, theirs.sha256.as_str()), (1, ""));
    assert!(theirs.run_id.is_none());
    registry.set_alias("theirs", "champion", 1).await.unwrap();
    refused(registry.load("theirs", VersionRef::Alias("champion".into())).await, ErrorKind::Unsupported);
    assert_eq!(registry.models().await.unwrap(), ["churn", name, "theirs"]);

    // What is not there.
    for reference in [VersionRef::Latest, VersionRef::Number(1), VersionRef::Alias("champion".into())] {
        for unknown in ["", "none", "a/b", "\"it's\""] {
            refused(registry.version(unknown, reference.clone()).await, ErrorKind::NotFound);
            refused(registry.load(unknown, reference.clone()).await, ErrorKind::NotFound);
        }
    }
    for number in [0, 4, u64::MAX] {
        let message = refused(registry.load(name, VersionRef::Number(number)).await, ErrorKind::NotFound);
        assert!(message.contains("newest is 3"), "{message}");
        refused(registry.set_alias(name, "x", number).await, ErrorKind::NotFound);
        refused(registry.delete_version(name, number).await, ErrorKind::NotFound);
    }
    for alias in ["champoin", "", "no such alias!"] {
        let message = refused(registry.version(name, VersionRef::Alias(alias.into())).await, ErrorKind::NotFound);
        assert!(message.contains("it has challenger, a, champion"), "{message}");
    }
    for alias in ["", "v7", "latest", "with space"] {
        refused(registry.set_alias(name, alias, 1).await, ErrorKind::Invalid);
    }

    // An alias moves, and goes with its version, whose number is not used again.
    registry.set_alias(name, "champion", 3).await.unwrap();
    assert_eq!(registry.load(name, VersionRef::Alias("champion".into())).await.unwrap().bytes, b"");
    registry.delete_version(name, 3).await.unwrap();
    refused(registry.version(name, VersionRef::Alias("champion".into())).await, ErrorKind::NotFound);
    refused(registry.delete_version(name, 3).await, ErrorKind::NotFound);
    assert_eq!(registry.version(name, VersionRef::Latest).await.unwrap().version, 2);
    for version in [1, 2] {
        registry.delete_version(name, version).await.unwrap();
    }
    refused(registry.versions(name).await, ErrorKind::NotFound);
    refused(registry.version(name, VersionRef::Latest).await, ErrorKind::NotFound);
    assert_eq!(registry.models().await.unwrap(), ["churn", "theirs"]);
    assert_eq!(registry.register(entry(name, b"4")).await.unwrap().version, 4);

    // A file that changed on the server's disk is found out.
    let damaged = registry.register(entry("damaged", b"whole")).await.unwrap();
    let files =
        std::process::Command::new("grep").args(["-rl", "whole", "artifacts"]).current_dir(&server.folder).output();
    let file = String::from_utf8(files.unwrap().stdout).unwrap();
    std::fs::write(server.folder.path().join(file.trim()), "hole").unwrap();
    let message = refused(registry.load("damaged", VersionRef::Number(damaged.version)).await, ErrorKind::Failed);
    assert!(message.contains("is damaged"), "{message}");

    // All at once.
    let handle = registry.handle();
    let tasks: Vec<_> = (0..8u8)
        .map(|n| {
            let registry = handle.clone();
            tokio::spawn(async move { registry.register(entry("race", &[n])).await.unwrap().version })
        })
        .collect();
    let mut numbers = BTreeSet::new();
    for task in tasks {
        numbers.insert(task.await.unwrap());
    }
    assert_eq!(numbers, (1..=8).collect());
    let health = mlx_core::Handle::health(&registry).await.unwrap();
    assert_eq!((health.is_healthy(), &health.details["version"]), (true, &json!("3.17.2")));
    registry.shutdown().await.unwrap();
    tracker.shutdown().await.unwrap();
}
