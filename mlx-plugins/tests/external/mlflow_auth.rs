//! Who may speak to MLflow: its own basic authentication, and a proxy before it that wants a bearer token.

use super::{
    mlflow::{launch, server},
    server::{Launch, Server, python},
};
use mlx_core::{platform::Standalone, prelude::*};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// Of letters that HTTP has: the part of MLflow that takes files knows no others.
const PASSWORD: &str = "canary password: 'x' \"0123";
const TOKEN: &str = "canary-token-4567";

/// Tracks and registers, and returns the id of the run.
async fn use_both(config: JsonValue) -> Result<String> {
    let registry = mlx_core::registry();
    let tracker: Standalone<dyn ExperimentTracker> = registry.create("mlflow", config.clone()).await?;
    let run = tracker.start_run(NewRun::new("auth", "run")).await?.id;
    tracker.log_metrics(&run, vec![Metric::new("m", 0.5)]).await?;
    tracker.log_artifact(&run, "a/b", vec![1, 2]).await?;
    tracker.end_run(&run, RunStatus::Finished).await?;
    assert_eq!(tracker.artifact(&run, "a/b").await?, [1, 2]);
    assert!(mlx_core::Handle::health(&tracker).await?.is_healthy());
    tracker.shutdown().await?;
    let models: Standalone<dyn ModelRegistry> = registry.create("mlflow", config).await?;
    let signature = ModelSignature::default();
    let model = Model { format: "f".into(), bytes: vec![7; 100], signature, metadata: Default::default() };
    models.register(ModelEntry::new("auth", model.clone()).run_id(&run)).await?;
    assert_eq!(models.load("auth", VersionRef::Latest).await?, model);
    models.shutdown().await?;
    Ok(run)
}

#[track_caller]
fn denied<T>(result: Result<T>) -> String {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let text = format!("{error} {error:?} {error:#?} {}", error.to_json());
    assert!(!text.contains("canary"), "{text}");
    text
}

const READ: &str = r#"
import os, sys
url, os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"], run = sys.argv[1:]
from mlflow import MlflowClient
client = MlflowClient(url)
print(client.get_run(run).data.metrics["m"], client.get_model_version("auth", 1).run_id)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn basic_authentication_is_that_of_mlflow() {
    let server = Server::start(|port, folder| {
        let settings = folder.join("auth.ini");
        let database = folder.join("auth.db");
        let text = format!(
            "[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{}\nadmin_username = ada\n\
             admin_password = {PASSWORD}\n\
             authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
            database.display()
        );
        std::fs::write(&settings, text).unwrap();
        let Launch { mut arguments, mut variables, .. } = launch(port, folder);
        arguments.extend(["--app-name", "basic-auth"].map(str::to_owned));
        variables.push(("MLFLOW_AUTH_CONFIG_PATH", settings.display().to_string()));
        variables.push(("MLFLOW_FLASK_SERVER_SECRET_KEY", "only for this test".to_owned()));
        Launch { arguments, variables, ..launch(port, folder) }
    })
    .await;
    let identity = |user: &str, password: &str| json!({"url": server.url(), "username": user, "password": password});
    let run = use_both(identity("ada", PASSWORD)).await.unwrap();
    let read = python("mlflow", READ, &[&server.url(), "ada", PASSWORD, &run]);
    assert_eq!(read.trim(), format!("0.5 {run}"));
    // Known at the start, and not tried again.
    for config in [identity("ada", "canary-wrong"), identity("eve", PASSWORD), json!({"url": server.url()})] {
        let asked = server.log().matches("401 Unauthorized").count();
        assert!(denied(use_both(config).await).contains("401"));
        assert_eq!(server.log().matches("401 Unauthorized").count(), asked + 1);
    }
    assert!(!server.log().contains("canary"), "{}", server.log());
}

/// Passes on what has the token, without it, and repeats to others what they said.
async fn proxy(port: u16, open: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(pass_on(stream, port, open.clone()));
        }
    });
    address
}

async fn pass_on(mut client: TcpStream, port: u16, open: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (credentials, others): (Vec<&str>, Vec<&str>) =
        head.lines().partition(|line| line.to_ascii_lowercase().starts_with("authorization:"));
    if !open.load(Ordering::SeqCst) || !credentials.join("").ends_with(&format!("Bearer {TOKEN}")) {
        let body = format!("who is {credentials:?}?");
        let reply = format!("HTTP/1.1 401 No\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        client.write_all(reply.as_bytes()).await?;
        // What was not read would reset the connection before the answer is.
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), client.read_to_end(&mut rest)).await;
        return Ok(());
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    let head = format!("{}\r\nConnection: close\r\n\r\n", others.join("\r\n"));
    server.write_all(head.as_bytes()).await?;
    server.write_all(&bytes[end + 4..]).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_passes_a_proxy() {
    let server = server().await;
    let open = Arc::new(AtomicBool::new(true));
    let url = proxy(server.port, open.clone()).await;
    use_both(json!({"url": url, "token": TOKEN})).await.unwrap();
    for config in [
        json!({"url": url, "token": "canary-wrong"}),
        json!({"url": url, "username": "ada", "password": PASSWORD}),
        json!({"url": url}),
    ] {
        assert!(denied(use_both(config).await).contains("who is"), "what the server said is passed on");
    }
    // A token that ends while metrics are under way: said at the end of the run, and not waited for.
    let config = json!({"url": url, "token": TOKEN});
    let tracker: Standalone<dyn ExperimentTracker> = mlx_core::registry().create("mlflow", config).await.unwrap();
    let run = tracker.start_run(NewRun::new("auth", "cut off")).await.unwrap().id;
    open.store(false, Ordering::SeqCst);
    tracker.log_metrics(&run, vec![Metric::new("m", 1.0), Metric::new("m", 2.0)]).await.unwrap();
    assert!(denied(tracker.run(&run).await).contains("2 metrics of the run"));
    tracker.shutdown().await.unwrap();
}
