use super::{
    auth::Credentials,
    scripted::{Act, Scripted},
    *,
};
use mlx_core::{async_trait, prelude::*};
use reqwest::{Method, Url};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

fn config() -> HttpConfig {
    let mut config: HttpConfig = mlx_core::config::from_json(json!({})).unwrap();
    config.deadline = Duration::from_secs(20);
    config.timeout = Duration::from_secs(10);
    config.retry = Retry::attempts(5).backoff(Duration::from_millis(1), Duration::from_millis(5));
    config
}

fn failure(body: &[u8]) -> Option<ServerMessage> {
    let body: JsonValue = serde_json::from_slice(body).ok()?;
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    Some(ServerMessage { code: text("code"), message: text("message") })
}

fn client(url: &Url, authentication: Authentication, config: HttpConfig) -> Client {
    Client::new("Example", url.clone(), authentication, config, failure).unwrap()
}

fn plain(server: &Scripted) -> Client {
    client(&server.url, Authentication::None, config())
}

fn get() -> Request {
    Request::get("things/get", "api/things")
}

#[track_caller]
fn failed<T>(result: Result<T>, kind: ErrorKind) -> Error {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error
}

#[tokio::test]
async fn a_request_arrives_as_it_was_described() {
    let server = Scripted::play([Act::json(200, r#"{"ok": true}"#)]).await;
    let mut base = server.url.clone();
    base.set_path("/prefix");
    let bearer = Authentication::Bearer("token-1".into());
    let reply = client(&base, bearer, config())
        .send(Request::post("things/create", "api/things", &json!({"a": 1})).query("q", "ä&b"))
        .await
        .unwrap();
    assert_eq!(reply.json().unwrap(), json!({"ok": true}));
    let seen = &server.seen()[0];
    assert_eq!(seen.target(), "POST /prefix/api/things?q=%C3%A4%26b");
    assert_eq!(seen.header("authorization"), Some("Bearer token-1"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.body, br#"{"a":1}"#);
}

#[tokio::test]
async fn basic_authentication_is_that_of_rfc_7617() {
    let server = Scripted::play([Act::json(200, "{}")]).await;
    // The example of section 2.
    let basic = Authentication::Basic { user: "Aladdin".to_owned(), password: "open sesame".into() };
    client(&server.url, basic, config()).send(get()).await.unwrap();
    assert_eq!(server.seen()[0].header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
}

#[tokio::test]
async fn a_refusal_says_what_the_server_said_and_hides_the_credentials() {
    let body = r#"{"code": "NO_SUCH_THING", "message": "token-123456 may not\nsee it"}"#;
    let reply = Act::Reply(404, vec!["X-Request-Id: r-7".to_owned()], body.as_bytes().to_vec());
    let server = Scripted::play([reply]).await;
    let bearer = Authentication::Bearer("token-123456".into());
    assert_eq!(format!("{bearer:?}"), "Bearer");
    let error = failed(client(&server.url, bearer, config()).send(get()).await, ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "Example answered 404 to things/get: [redacted] may not see it (NO_SUCH_THING) [request r-7]"
    );
    let response = ResponseError::of(&error).unwrap();
    assert_eq!((response.status, response.code.as_str()), (404, "NO_SUCH_THING"));
    assert!(!format!("{error:?}").contains("token-123456"));
}

#[tokio::test]
async fn statuses_become_kinds() {
    for (status, kind) in [
        (400, ErrorKind::Invalid),
        (401, ErrorKind::Denied),
        (403, ErrorKind::Denied),
        (404, ErrorKind::NotFound),
        (409, ErrorKind::Invalid),
        (429, ErrorKind::Unavailable),
        (500, ErrorKind::Failed),
        (501, ErrorKind::Unsupported),
        (503, ErrorKind::Unavailable),
        (302, ErrorKind::Failed),
    ] {
        let server = Scripted::play([Act::json(status, "<html>no</html>")]).await;
        let error = failed(plain(&server).send(Request::post("x", "x", &json!({}))).await, kind);
        assert_eq!(error.to_string(), format!("Example answered {status} to x"));
    }
}

#[tokio::test]
async fn what_is_safe_is_tried_again_and_what_is_not_is_not() {
    let broken = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":".to_vec();
    let acts =
        [Act::json(503, ""), Act::Cut(Vec::new()), Act::Cut(broken.clone()), Act::json(429, ""), Act::json(200, "{}")];
    let server = Scripted::play(acts).await;
    plain(&server).send(get()).await.unwrap();
    assert_eq!(server.seen().len(), 5);

    for act in [Act::json(503, ""), Act::Cut(Vec::new()), Act::Cut(broken)] {
        let server = Scripted::play([act, Act::json(200, "{}")]).await;
        failed(plain(&server).send(Request::post("x", "x", &json!({}))).await, ErrorKind::Unavailable);
        assert_eq!(server.seen().len(), 1, "a second time could do it twice");
    }
    let server = Scripted::play([Act::json(503, ""), Act::json(200, "{}")]).await;
    plain(&server).send(Request::post("x", "x", &json!({})).idempotent()).await.unwrap();

    let server = Scripted::play([Act::json(400, ""), Act::json(200, "{}")]).await;
    failed(plain(&server).send(get()).await, ErrorKind::Invalid);
    assert_eq!(server.seen().len(), 1, "the answer would be the same");
}

#[tokio::test]
async fn attempts_are_counted() {
    let server = Scripted::play(std::iter::repeat_n(Act::json(503, ""), 9)).await;
    failed(plain(&server).send(get()).await, ErrorKind::Unavailable);
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn the_server_is_given_the_time_it_asks_for() {
    let later = |seconds: u32| Act::Reply(429, vec![format!("Retry-After: {seconds}")], Vec::new());
    let server = Scripted::play([later(1), Act::json(200, "{}")]).await;
    let began = Instant::now();
    plain(&server).send(get()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));

    let server = Scripted::play([later(3600), Act::json(200, "{}")]).await;
    let error = failed(plain(&server).send(get()).await, ErrorKind::Unavailable);
    assert!(error.to_string().contains("no time left"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn deadlines_hold() {
    let server = Scripted::play([Act::Silence, Act::Silence]).await;
    let silent = HttpConfig { timeout: Duration::from_millis(50), ..config() };
    let once = HttpConfig { retry: Retry::attempts(1), ..silent };
    let error = failed(client(&server.url, Authentication::None, once).send(get()).await, ErrorKind::Timeout);
    assert_eq!(error.to_string(), "Example was silent for 50ms during things/get");

    let error = failed(plain(&server).send(get().deadline(Duration::from_millis(50))).await, ErrorKind::Timeout);
    assert_eq!(error.to_string(), "Example did not answer things/get within 50ms");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_path() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = Url::parse(&format!("http://{address}/secret-path/")).unwrap();
    let error = failed(client(&url, Authentication::None, config()).send(get()).await, ErrorKind::Unavailable);
    assert!(error.to_string().starts_with(&format!("Example cannot be reached at http://{address}: ")), "{error}");
    assert!(!format!("{error:?}").contains("secret-path"));
}

#[tokio::test]
async fn replies_are_whole_and_bounded_and_json() {
    let server = Scripted::play([Act::json(200, "123456"), Act::json(200, "nope")]).await;
    let error = failed(plain(&server).send(get().limit(5)).await, ErrorKind::Failed);
    assert_eq!(error.to_string(), "Example answered things/get with more than 5 bytes");
    let reply = plain(&server).send(get()).await.unwrap();
    let error = failed(reply.json(), ErrorKind::Failed);
    assert_eq!(error.to_string(), "Example answered things/get with something that is not JSON (line 1, column 2)");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Scripted::play([Act::json(200, "{}")]).await;
    let server = Scripted::play([Act::Reply(307, vec![format!("Location: {}", elsewhere.url)], Vec::new())]).await;
    failed(plain(&server).send(get()).await, ErrorKind::Failed);
    assert!(elsewhere.seen().is_empty());
}

struct Tokens(AtomicU32);

#[async_trait]
impl Credentials for Tokens {
    async fn authorization(&self) -> Result<Secret<String>> {
        Ok(format!("Bearer token-{}", self.0.load(Ordering::Relaxed)).into())
    }
    fn refused(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        true
    }
}

#[tokio::test]
async fn credentials_that_expired_are_renewed_once() {
    let server = Scripted::play([Act::json(401, ""), Act::json(200, "{}")]).await;
    let tokens = Authentication::Renewed(Arc::new(Tokens(AtomicU32::new(0))));
    client(&server.url, tokens, config()).send(Request::post("x", "x", &json!({}))).await.unwrap();
    let sent: Vec<_> = server.seen().iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(sent, ["Bearer token-0", "Bearer token-1"]);

    let server = Scripted::play([Act::json(401, ""), Act::json(401, ""), Act::json(200, "{}")]).await;
    let tokens = Authentication::Renewed(Arc::new(Tokens(AtomicU32::new(0))));
    failed(client(&server.url, tokens, config()).send(get()).await, ErrorKind::Denied);
    assert_eq!(server.seen().len(), 2);

    let server = Scripted::play([Act::json(401, ""), Act::json(200, "{}")]).await;
    failed(client(&server.url, Authentication::Bearer("x".into()), config()).send(get()).await, ErrorKind::Denied);
}

#[tokio::test]
async fn credentials_that_do_not_fit_into_a_header_are_not_shown() {
    let server = Scripted::play([]).await;
    let bearer = Authentication::Bearer("line\nbreak".into());
    let error = failed(client(&server.url, bearer, config()).send(get()).await, ErrorKind::Invalid);
    assert!(!format!("{error:?}").contains("break\""), "{error:?}");
    assert!(server.seen().is_empty());
}

#[test]
fn addresses_are_checked() {
    let refused = |url: &str| {
        let made = Client::new("Example", Url::parse(url).unwrap(), Authentication::None, config(), failure);
        failed(made, ErrorKind::Invalid).to_string()
    };
    assert!(refused("ftp://host/").contains("has to begin with"));
    let error = refused("https://ada:lovelace@host/");
    assert!(error.contains("contains credentials") && !error.contains("lovelace"), "{error}");
}

#[test]
fn certificates_are_checked_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let make = |path: &std::path::Path| {
        let config = HttpConfig { ca_certificates: Some(path.to_owned()), ..config() };
        Client::new("Example", Url::parse("https://host/").unwrap(), Authentication::None, config, failure)
    };
    failed(make(&path), ErrorKind::NotFound);
    std::fs::write(&path, "no certificate").unwrap();
    let error = failed(make(&path), ErrorKind::Invalid);
    assert!(error.to_string().contains("contains no certificate"), "{error}");
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert!(make(&path).is_err());
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_ends() {
    let server = Scripted::play([Act::Silence]).await;
    let client = plain(&server);
    let call = client.send(Request::new("x", Method::GET, "x"));
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    assert!(server.seen().len() <= 1);
}
