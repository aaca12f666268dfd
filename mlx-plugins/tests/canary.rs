//! Secrets of the plugins for remote systems, given to servers that repeat all that they are told: no output has them.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{Platform, prelude::*};
use std::{
    future::poll_fn,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

mlx_core::link!(mlx_plugins);

/// A password, a token or a key, with what has to be escaped in JSON.
const CANARY: &str = "canary-\"4711\\swordfish";

/// What a server gives out that is as good as a password.
const SESSION: &str = "canary-session-0815";

/// What is not printed: the secrets as they are, in JSON, in basic authentication, and any recognisable part of them.
const FORMS: [&str; 6] = ["swordfish", "canary-", "4711", "YWRhOmNhbmFyeS0", "0815", "KUbRsPzVqLby15"];

const KEY: &str = include_str!("../src/data_source/snowflake/test_keys/plain.pem");

/// How a server fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// With a status, and a body that repeats the request in a sentence of its own format.
    Status(u16),
    /// With success, and something that is not JSON.
    Garbage,
    /// In the middle of the reply.
    Cut,
}

/// What a server does well: by the head of a request, and how many queries there have been.
type Good = fn(&str, usize) -> Option<String>;

/// A server that does what `good` says as long as that says something, and then fails.
fn server(failure: Failure, good: Good) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let queries = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let queries = queries.clone();
            std::thread::spawn(move || serve(stream, failure, good, &queries));
        }
    });
    address
}

fn serve(stream: TcpStream, failure: Failure, good: Good, queries: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
        let line = head[start..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let told = format!("you said {} {}", head.replace("\r\n", " "), String::from_utf8_lossy(&body));
    let reply = |mut stream: TcpStream, status: u16, body: &str, length: usize| {
        let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()
    };
    let asked = queries.fetch_add(usize::from(head.contains("query-request")), Ordering::SeqCst) + 1;
    if let Some(body) = good(&head, asked) {
        return reply(stream, 200, &body, body.len());
    }
    match failure {
        // In the words of all of them.
        Failure::Status(status) => {
            let body = json!({
                "error_code": told, "message": told, "code": told, "sqlState": told, "success": false,
                "error": {"message": told, "code": told, "type": told},
            });
            let body = body.to_string();
            reply(stream, status, &body, body.len())
        }
        Failure::Garbage => reply(stream, 200, &told, told.len()),
        Failure::Cut => reply(stream, 200, &told, told.len() + 1000),
    }
}

/// What is printed of a failure: as text, by `unwrap` in a panic, as JSON, as a report.
fn of_error(error: &Error, outputs: &mut Vec<String>) {
    outputs.push(format!("{error} {error:#} {error:?} {error:#?} {}", error.to_json()));
    outputs.push(error.report().color(true).to_string());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        outputs.push(format!("{cause} {cause:?} {cause:#?}"));
        source = cause.source();
    }
}

fn of_platform(platform: &Platform, outputs: &mut Vec<String>) {
    outputs.push(format!("{platform:?} {platform:#?} {:?} {:?}", platform.status(), platform.warnings()));
    outputs.push(format!("{} {:?} {:#}", platform.plan(), platform.plan(), platform.plan().to_json()));
    outputs.push(format!("{} {:#}", platform.effective_config(), platform.effective_config().to_json()));
}

/// Everything that is printed of a plugin that starts, is used by `calls`, and stops.
async fn outputs(
    kind: &str,
    name: &str,
    config: JsonValue,
    calls: impl AsyncFnOnce(&Platform) -> Vec<Error>,
) -> (usize, Vec<String>) {
    let mut outputs = Vec::new();
    let composition = Composition::builder().plugin(kind, name, config).build();
    outputs.push(format!("{composition:?} {composition:#?}"));
    let platform = match registry().activate(composition).await {
        Ok(platform) => platform,
        Err(error) => {
            of_error(&error, &mut outputs);
            return (1, outputs);
        }
    };
    of_platform(&platform, &mut outputs);
    let errors = calls(&platform).await;
    errors.iter().for_each(|error| of_error(error, &mut outputs));
    outputs.push(format!("{:?}", platform.health().await));
    of_platform(&platform, &mut outputs);
    if let Err(error) = platform.shutdown().await {
        of_error(&error, &mut outputs);
    }
    (errors.len(), outputs)
}

#[track_caller]
fn check(what: &str, outputs: &[String]) {
    assert!(outputs.iter().any(|output| !output.is_empty()));
    for output in outputs {
        for form in FORMS {
            assert!(!output.contains(form), "{what}: `{form}` is in\n{output}");
        }
    }
}

const FAILURES: [Failure; 8] = [
    Failure::Status(400),
    Failure::Status(401),
    Failure::Status(403),
    Failure::Status(404),
    Failure::Status(422),
    Failure::Status(500),
    Failure::Garbage,
    Failure::Cut,
];

fn with(mut config: JsonValue, more: JsonValue) -> JsonValue {
    let http = json!({"attempts": 1, "deadline": "10s", "timeout": "5s"});
    for more in [more, http] {
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    config
}

fn failed<T>(result: Result<T>) -> Error {
    result.err().expect("an error")
}

fn nothing(_: &str, _: usize) -> Option<String> {
    None
}

/// Both plugins have started when they have been answered once.
fn mlflow_starts(head: &str, _: usize) -> Option<String> {
    let starts = head.contains("experiments/search") || head.contains("registered-models/search?max_results=1 ");
    starts.then(|| "{}".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn mlflow_tells_no_secret() {
    let identities = [json!({"token": CANARY}), json!({"username": "ada", "password": CANARY})];
    for failure in FAILURES {
        for (good, identity) in
            [nothing, mlflow_starts].into_iter().flat_map(|good| identities.iter().map(move |i| (good, i)))
        {
            let what = format!("{failure:?}");
            let config = || with(json!({"url": server(failure, good)}), identity.clone());
            let (count, printed) = outputs("experiment_tracker", "mlflow", config(), async |platform| {
                let tracker = platform.get_default::<dyn ExperimentTracker>().unwrap();
                vec![
                    failed(tracker.start_run(NewRun::new("e", "r")).await),
                    failed(tracker.log_metrics("run", vec![Metric::new("m", 1.0)]).await),
                    failed(tracker.log_artifact("run", "a", vec![1]).await),
                    failed(tracker.run("run").await),
                    failed(tracker.search_runs(RunSearch::new("e")).await),
                ]
            })
            .await;
            assert!(count > 0);
            check(&what, &printed);
            let (count, printed) = outputs("model_registry", "mlflow", config(), async |platform| {
                let models = platform.get_default::<dyn ModelRegistry>().unwrap();
                let model = Model {
                    format: "f".into(),
                    bytes: vec![1],
                    signature: ModelSignature::default(),
                    metadata: std::collections::BTreeMap::new(),
                };
                vec![
                    failed(models.register(ModelEntry::new("m", model)).await),
                    failed(models.load("m", VersionRef::Latest).await),
                    failed(models.version("m", VersionRef::Alias("a".into())).await),
                    failed(models.models().await),
                ]
            })
            .await;
            assert!(count > 0);
            check(&what, &printed);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_tells_no_secret() {
    for failure in FAILURES {
        let url = format!("{}/v1", server(failure, nothing));
        let config = with(json!({"base_url": url, "model": "m", "api_key": CANARY}), json!({}));
        let (count, printed) = outputs("llm_provider", "openai", config, async |platform| {
            let llm = platform.get_default::<dyn LlmProvider>().unwrap();
            let mut errors = vec![failed(llm.chat(ChatRequest::new("?")).await)];
            match llm.stream(ChatRequest::new("?")).await {
                Ok(mut stream) => {
                    while let Some(event) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
                        errors.extend(event.err());
                    }
                }
                Err(error) => errors.push(error),
            }
            errors
        })
        .await;
        assert!(count > 0);
        check(&format!("{failure:?}"), &printed);
    }
}

/// A session, and no answer to any query but the first, which is that of the start.
fn snowflake_starts(head: &str, queries: usize) -> Option<String> {
    if head.contains("login-request") {
        return Some(json!({"success": true, "data": {"token": SESSION, "masterToken": SESSION}}).to_string());
    }
    let first = head.contains("query-request") && queries == 1;
    first.then(|| {
        json!({"success": true, "data": {
            "rowtype": [{"name": "V", "type": "text"}], "queryResultFormat": "json", "rowset": [["9.0"]], "total": 1,
        }})
        .to_string()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn snowflake_tells_no_secret() {
    let base = |url: String| json!({"base_url": url, "account": "a", "user": "u", "warehouse": "w", "database": "d", "schema": "s"});
    let by_key = [json!({"private_key": KEY}), json!({"private_key": KEY, "protocol": "connector"})];
    let query = async |platform: &Platform| {
        let source = platform.get_default::<dyn DataSource>().unwrap();
        vec![failed(source.query("select 1").await), failed(source.tables().await)]
    };
    for failure in FAILURES {
        let what = format!("{failure:?}");
        for good in [nothing as Good, snowflake_starts] {
            let config = with(base(server(failure, good)), json!({"password": CANARY}));
            let (count, printed) = outputs("data_source", "snowflake", config, query).await;
            assert!(count > 0);
            check(&what, &printed);
        }
        for key in &by_key {
            let (_, printed) =
                outputs("data_source", "snowflake", with(base(server(failure, nothing)), key.clone()), query).await;
            check(&what, &printed);
            // The beginning of every JSON Web Token.
            let token = printed.iter().find(|output| output.contains("eyJ"));
            assert!(token.is_none(), "{token:?}");
        }
    }
    // A key that cannot be read, and one that cannot be decrypted.
    for key in [
        json!({"private_key": format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----")}),
        json!({"private_key": CANARY}),
        json!({"private_key": include_str!("../src/data_source/snowflake/test_keys/encrypted_aes.pem"), "private_key_passphrase": CANARY}),
        json!({"private_key": KEY, "password": CANARY}),
    ] {
        let (count, printed) =
            outputs("data_source", "snowflake", with(base("http://127.0.0.1:1".into()), key), query).await;
        assert_eq!(count, 1);
        check("keys", &printed);
    }
}

/// Neither do the pages, where a default would show.
#[test]
fn pages_have_no_secret() {
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/plugins");
    let mut folders = vec![std::path::PathBuf::from(pages)];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let page = std::fs::read_to_string(&path).unwrap();
            for row in page.lines().filter(|line| line.contains("| secret |")) {
                let default = row.split('|').nth(3).unwrap().trim();
                assert!(matches!(default, "" | "required" | "`\"\"`"), "{}: {row}", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 3);
}
