use super::*;
use crate::http::{
    ResponseError,
    scripted::{Act, Scripted, Seen},
};
use mlx_core::platform::Standalone;
use std::time::{Duration, UNIX_EPOCH};

const KEY: &str = "canary-token-5678";

/// A registry at a server that plays these acts once the registry has started.
async fn play(acts: impl IntoIterator<Item = Act>) -> (Scripted, Standalone<dyn ModelRegistry>) {
    let server = Scripted::play(std::iter::once(Act::json(200, "{}")).chain(acts)).await;
    let config = json!({
        "url": server.url.as_str(), "token": KEY, "deadline": "10s", "timeout": "300ms",
        "retry": {"max_attempts": 3, "initial_backoff": "1ms", "max_backoff": "5ms"},
    });
    let registry = mlx_core::registry().create("mlflow", config).await.unwrap();
    (server, registry)
}

fn model() -> Model {
    let signature = ModelSignature {
        features: vec!["age".into(), "größe".into()],
        target: "churn".into(),
        classes: vec!["no".into(), "yes".into()],
    };
    let metadata = BTreeMap::from([("trainer".to_owned(), "test".to_owned())]);
    Model { format: "test/1".into(), bytes: b"abc".to_vec(), signature, metadata }
}

const SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn reply(body: JsonValue) -> Act {
    Act::json(200, &body.to_string())
}

fn refusal(status: u16, code: &str) -> Act {
    Act::json(status, &json!({"error_code": code, "message": format!("no, {KEY}")}).to_string())
}

fn logged() -> Act {
    reply(json!({"model": {"info": {"model_id": "m-1", "artifact_uri": "mlflow-artifacts:/7/models/m-1/artifacts"}}}))
}

fn version(more: JsonValue) -> JsonValue {
    let mut version = json!({
        "name": "churn", "version": "3", "creation_timestamp": 1_700_000_000_123i64, "run_id": "",
        "tags": [{"key": SHA256, "value": SHA}, {"key": "team", "value": "blue"}],
    });
    version.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"model_version": version})
}

fn body(seen: &Seen) -> JsonValue {
    serde_json::from_slice(&seen.body).unwrap()
}

fn targets(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(Seen::target).collect()
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains(KEY), "{text}");
    }
    error.to_string()
}

#[tokio::test]
async fn a_model_is_stored_file_by_file_and_made_a_version_last() {
    let made = version(json!({"run_id": "run-1"}));
    let (server, registry) = play([
        reply(json!({"run": {"info": {"experiment_id": "7"}}})),
        refusal(400, "RESOURCE_ALREADY_EXISTS"),
        logged(),
        reply(json!({})),
        reply(json!({})),
        reply(json!({})),
        reply(made),
    ])
    .await;
    let metrics = BTreeMap::from([("auc".to_owned(), 0.1), ("loss".to_owned(), f64::NAN)]);
    let mut entry = ModelEntry::new("chu.rn", model()).run_id("run-1").metrics(metrics);
    entry.tags.insert("team".into(), "blue".into());
    let stored = registry.register(entry).await.unwrap();
    assert_eq!((stored.version, stored.sha256.as_str(), stored.run_id.as_deref()), (3, SHA, Some("run-1")));
    assert_eq!(stored.created, UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
    assert_eq!(stored.tags, BTreeMap::from([("team".to_owned(), "blue".to_owned())]));

    let seen = &server.seen()[1..];
    assert_eq!(
        targets(seen),
        [
            "GET /api/2.0/mlflow/runs/get?run_id=run-1",
            "POST /api/2.0/mlflow/registered-models/create",
            "POST /api/2.0/mlflow/logged-models",
            "PUT /api/2.0/mlflow-artifacts/artifacts/7/models/m-1/artifacts/model.bin",
            "PUT /api/2.0/mlflow-artifacts/artifacts/7/models/m-1/artifacts/MLmodel",
            "PATCH /api/2.0/mlflow/logged-models/m-1",
            "POST /api/2.0/mlflow/model-versions/create",
        ]
    );
    assert!(seen.iter().all(|seen| seen.header("authorization") == Some(&format!("Bearer {KEY}"))));
    assert_eq!(body(&seen[1]), json!({"name": "chu.rn"}));
    assert_eq!(
        body(&seen[2]),
        json!({
            "experiment_id": "7", "name": "chu_rn", "source_run_id": "run-1",
            "tags": [{"key": "mlx.format", "value": "test/1"}],
        })
    );
    assert_eq!(seen[3].body, b"abc");
    assert_eq!(
        body(&seen[4]),
        json!({
            "flavors": {"mlx": {
                "format": "test/1", "data": "model.bin", "sha256": SHA,
                "features": ["age", "größe"], "target": "churn", "classes": ["no", "yes"],
            }},
            "metadata": {"trainer": "test"}, "model_id": "m-1", "model_size_bytes": 3, "run_id": "run-1",
        })
    );
    assert_eq!(
        body(&seen[6]),
        json!({
            "name": "chu.rn", "source": "mlflow-artifacts:/7/models/m-1/artifacts", "model_id": "m-1", "run_id": "run-1",
            "tags": [
                {"key": "team", "value": "blue"},
                {"key": "mlx.sha256", "value": SHA},
                {"key": "mlx.metrics", "value": "{\"auc\":0.1,\"loss\":\"NaN\"}"},
            ],
        })
    );
    registry.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_does_not_make_a_second_version() {
    let found = json!({"model_versions": [version(json!({}))["model_version"]]});
    let (server, registry) = play([
        reply(json!({"experiment": {"experiment_id": "7"}})),
        reply(json!({})),
        logged(),
        reply(json!({})),
        reply(json!({})),
        reply(json!({})),
        Act::Cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec()),
        reply(found),
    ])
    .await;
    assert_eq!(registry.register(ModelEntry::new("churn", model())).await.unwrap().version, 3);
    let seen = server.seen();
    let made = seen.iter().filter(|seen| seen.target().ends_with("model-versions/create")).count();
    assert_eq!(made, 1);
    let last = seen.last().unwrap().target();
    assert!(last.starts_with("GET /api/2.0/mlflow/model-versions/search?filter=name+%3D+%27churn%27+and+source_path"));
    registry.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_fails_before_the_version_is_taken_back() {
    let begin = || [reply(json!({"experiment": {"experiment_id": "7"}})), reply(json!({})), logged()];
    for (failing, kind) in [
        (refusal(403, "PERMISSION_DENIED"), ErrorKind::Denied),
        (refusal(500, "INTERNAL_ERROR"), ErrorKind::Failed),
        (refusal(400, "INVALID_PARAMETER_VALUE"), ErrorKind::Invalid),
    ] {
        let (server, registry) = play(begin().into_iter().chain([failing, reply(json!({}))])).await;
        refused(registry.register(ModelEntry::new("churn", model())).await, kind);
        assert_eq!(server.seen().last().unwrap().target(), "DELETE /api/2.0/mlflow/logged-models/m-1");
        registry.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_in_trouble_gives_typed_errors() {
    let breaks = || Act::Cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"regis".to_vec());
    let busy = |status| Act::Reply(status, vec!["Retry-After: 0".to_owned()], Vec::new());
    for (acts, kind, said) in [
        (vec![Act::Silence, Act::Silence, Act::Silence], ErrorKind::Timeout, "silent for 300ms"),
        (vec![breaks(), breaks(), breaks()], ErrorKind::Unavailable, "broke"),
        (vec![busy(429), busy(503), busy(429)], ErrorKind::Unavailable, "429"),
        (vec![refusal(401, "UNAUTHENTICATED")], ErrorKind::Denied, "[redacted]"),
        (vec![Act::json(200, "<html>")], ErrorKind::Failed, "not JSON"),
        (vec![reply(json!({"registered_models": [{"latest_versions": [{}]}]}))], ErrorKind::Failed, "`name`"),
    ] {
        let (_server, registry) = play(acts).await;
        let message = refused(registry.models().await, kind);
        assert!(message.contains(said), "{message}");
        registry.shutdown().await.unwrap();
    }
    // Two failures are survived.
    let page = reply(json!({"registered_models": [{"name": "b", "latest_versions": [{}]}], "next_page_token": "x"}));
    let rest = reply(json!({"registered_models": [{"name": "a", "latest_versions": [{}]}, {"name": "empty"}]}));
    let (server, registry) = play([busy(503), breaks(), page, rest]).await;
    assert_eq!(registry.models().await.unwrap(), ["a", "b"]);
    let last = server.seen().last().unwrap().target().to_owned();
    assert_eq!(last, "GET /api/2.0/mlflow/registered-models/search?max_results=200&page_token=x");
    registry.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_model_is_checked_against_its_checksum() {
    let uri = || reply(json!({"artifact_uri": "mlflow-artifacts:/7/models/m-1/artifacts"}));
    let described = |bytes: &[u8]| Act::Reply(200, Vec::new(), bytes.to_vec());
    let whole = description(&model(), "m-1", None, SHA, 3);
    let numbered = || reply(version(json!({"aliases": ["b", "a"]})));

    let (_server, registry) = play([numbered(), uri(), described(&whole), described(b"abc")]).await;
    assert_eq!(registry.load("churn", VersionRef::Number(3)).await.unwrap(), model());
    registry.shutdown().await.unwrap();

    let elsewhere = reply(json!({"artifact_uri": "s3://bucket/x"}));
    let foreign = reply(version(json!({"tags": []})));
    for (acts, kind, said) in [
        (vec![numbered(), uri(), described(&whole), described(b"abd")], ErrorKind::Failed, "is damaged: its SHA-256"),
        (vec![numbered(), uri(), described(b"{}"), described(b"abc")], ErrorKind::Failed, "`MLmodel` of version 3"),
        (vec![numbered(), uri(), refusal(404, "RESOURCE_DOES_NOT_EXIST")], ErrorKind::Failed, "missing on the server"),
        (vec![numbered(), elsewhere], ErrorKind::Unsupported, "`s3:…`"),
        (vec![foreign], ErrorKind::Unsupported, "registered by another program"),
    ] {
        let (_server, registry) = play(acts).await;
        let message = refused(registry.load("churn", VersionRef::Number(3)).await, kind);
        assert!(message.contains(said), "{message}");
        registry.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_by_what_there_is() {
    let missing = || refusal(404, "RESOURCE_DOES_NOT_EXIST");
    let model = || reply(json!({"registered_model": {"aliases": [{"alias": "champion", "version": "3"}]}}));
    let versions = || reply(json!({"model_versions": [version(json!({}))["model_version"]]}));
    for (first, wanted, said) in [
        (Some(missing()), VersionRef::Number(9), "no version 9; the newest is 3"),
        (None, VersionRef::Number(u64::MAX), "the newest is 3"),
        (
            Some(refusal(400, "INVALID_PARAMETER_VALUE")),
            VersionRef::Alias("champoin".into()),
            "no alias \"champoin\"; it has champion",
        ),
    ] {
        let (_server, registry) = play(first.into_iter().chain([model(), versions()])).await;
        let message = refused(registry.version("churn", wanted).await, ErrorKind::NotFound);
        assert!(message.contains(said), "{message}");
        registry.shutdown().await.unwrap();
    }
    let (_server, registry) = play([missing()]).await;
    assert!(refused(registry.versions("churn").await, ErrorKind::NotFound).contains("no model \"churn\""));
    registry.shutdown().await.unwrap();
}

#[tokio::test]
async fn names_that_mlflow_refuses_are_refused_before_anything_is_stored() {
    let (server, registry) = play([]).await;
    for name in ["", " ", "a/b", "a:b", "a\nb", "\"it's\"", "a\\b"] {
        refused(registry.register(ModelEntry::new(name, model())).await, ErrorKind::Invalid);
    }
    for tag in ["", "what?", "mlx.sha256", "mlx.metrics", "mlx.run_id"] {
        let mut entry = ModelEntry::new("m", model());
        entry.tags.insert(tag.into(), "x".into());
        refused(registry.register(entry).await, ErrorKind::Invalid);
    }
    refused(registry.set_alias("m", "", 1).await, ErrorKind::Invalid);
    assert_eq!(server.seen().len(), 1, "the start");
    registry.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_known_at_the_start() {
    let server = Scripted::play([refusal(401, "UNAUTHENTICATED")]).await;
    let config = json!({"url": server.url.as_str(), "token": KEY});
    let error = mlx_core::registry().create::<dyn ModelRegistry>("mlflow", config).await.err().unwrap();
    assert!(ResponseError::of(&error).is_some() || error.to_string().contains("401"), "{error}");
    assert!(!format!("{error:?}").contains(KEY), "{error:?}");
}

#[test]
fn texts_in_filters_are_quoted() {
    assert_eq!(quoted("a \"b\"").unwrap(), "'a \"b\"'");
    assert_eq!(quoted("it's").unwrap(), "\"it's\"");
    assert_eq!(quoted("\"it's\"").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(quoted("a\\").unwrap_err().kind(), ErrorKind::Invalid);
}
