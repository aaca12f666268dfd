use super::*;
use mlx_core::{
    ErrorKind,
    arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray},
    handle::{Instance, Slot},
    plugin::{KindInfo, Peers},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};

/// Shows up in an answer only if something of the inside does.
const CANARY: &str = "canary-0123456789abcdef";

/// Predicts with whatever the model's name says.
#[mlx_plugin(type = "model_server", name = "fake-for-http")]
struct FakeServer {
    /// Predictions of `gate` that may pass.
    gate: Arc<Semaphore>,
    /// Predictions of `gate` that have begun.
    begun: Arc<Semaphore>,
    unloaded: Mutex<Vec<String>>,
}

impl FakeServer {
    fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        FakeServer { gate: closed(), begun: closed(), unloaded: Mutex::default() }
    }
}

#[async_trait]
impl Plugin for FakeServer {
    type Config = NoConfig;

    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(FakeServer::new())
    }
}

#[async_trait]
impl ModelServer for FakeServer {
    async fn load(&self, _: &str, _: Model) -> Result<()> {
        Err(Error::unsupported("a fake"))
    }

    async fn unload(&self, name: &str) -> Result<()> {
        self.unloaded.lock().unwrap().push(name.into());
        Ok(())
    }

    async fn predict(&self, name: &str, data: DataFrame) -> Result<DataFrame> {
        match name {
            "slow" => sleep(Duration::from_secs(60)).await,
            "gate" => {
                self.begun.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
            }
            "panics" => panic!("on purpose"),
            "broken" => return Err(Error::failed(format!("no file /inside/{CANARY}"))),
            "busy" => return Err(Error::unavailable(format!("cannot reach {CANARY}"))),
            "picky" => return Err(Error::invalid("`b` must be positive")),
            "short" => return data.filter_rows(|row| row > 0),
            _ => {}
        }
        let a = data.f64_column("a")?;
        let sums: Vec<f64> = a.iter().zip(data.f64_column("b")?).map(|(a, b)| a + b).collect();
        let array: ArrayRef = match name {
            "price" => Arc::new(Float64Array::from_iter_values(
                sums.iter().map(|sum| if *sum == 0.0 { f64::NAN } else { *sum }),
            )),
            "count" => Arc::new(Int64Array::from_iter_values(sums.iter().map(|sum| *sum as i64))),
            _ => {
                let class = |sum: &f64| if *sum > 0.0 { "benign" } else { "malignant" };
                let classes: ArrayRef = Arc::new(StringArray::from_iter_values(sums.iter().map(class)));
                let benign: Vec<f64> = sums.iter().map(|sum| if *sum > 0.0 { 0.75 } else { 0.25 }).collect();
                let malignant: ArrayRef = Arc::new(Float64Array::from_iter_values(benign.iter().map(|p| 1.0 - p)));
                let benign: ArrayRef = Arc::new(Float64Array::from(benign));
                return DataFrame::from_columns([
                    ("prediction", classes),
                    ("probability_benign", benign),
                    ("probability_malignant", malignant),
                ]);
            }
        };
        DataFrame::from_columns([("prediction", array)])
    }

    async fn signature(&self, name: &str) -> Result<ModelSignature> {
        if name == "unknown" || self.unloaded.lock().unwrap().iter().any(|gone| gone == name) {
            return Err(Error::not_found("no such model is loaded"));
        }
        let classes: &[&str] = if ["price", "count"].contains(&name) { &[] } else { &["benign", "malignant"] };
        Ok(ModelSignature {
            features: vec!["a".into(), "b".into()],
            target: "diagnosis".into(),
            classes: classes.iter().map(|&class| class.into()).collect(),
        })
    }

    async fn models(&self) -> Result<Vec<String>> {
        Ok(MODELS.iter().map(|&model| model.into()).collect())
    }
}

const MODELS: [&str; 10] = ["broken", "busy", "count", "gate", "iris", "panics", "picky", "price", "short", "slow"];

/// The plugins beside the server, by type.
#[derive(Default)]
struct Fakes(Vec<(&'static str, Arc<Slot>)>);

impl Fakes {
    fn add<C: ?Sized + PluginKind>(&mut self, id: &str, plugin: Arc<C>) -> Arc<Slot> {
        let slot = Arc::new(Slot::new(id));
        assert!(slot.publish(Instance::new().provide::<C>(plugin)).is_none());
        self.0.push((C::INFO.name, slot.clone()));
        slot
    }
}

impl Peers for Fakes {
    fn find(&self, kind: &'static KindInfo, name: Option<&str>) -> Result<Arc<Slot>> {
        let all = self.find_all(kind);
        let found: Vec<_> = all.iter().filter(|slot| name.is_none_or(|name| slot.name() == name)).collect();
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            other => Err(Error::not_found(format!("{} plugins of type `{}`", other.len(), kind.name))),
        }
    }

    fn find_all(&self, kind: &'static KindInfo) -> Vec<Arc<Slot>> {
        self.0.iter().filter(|(name, _)| *name == kind.name).map(|(_, slot)| slot.clone()).collect()
    }
}

fn config() -> HttpConfig {
    HttpConfig {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        max_body: 4096,
        max_rows: 50,
        max_connections: 256,
        timeout: Duration::from_secs(5),
        shutdown_timeout: Duration::from_secs(5),
        require_authentication: false,
    }
}

/// A server with its fakes.
struct Running {
    http: Http,
    address: SocketAddr,
    gate: Arc<Semaphore>,
    begun: Arc<Semaphore>,
    model_server: Arc<Slot>,
}

async fn start_with(config: HttpConfig, mut fakes: Fakes) -> Running {
    let fake = Arc::new(FakeServer::new());
    let (gate, begun) = (fake.gate.clone(), fake.begun.clone());
    let model_server = fakes.add::<dyn ModelServer>("local", fake);
    let cx = InitContext::new("http", Arc::new(fakes), CancellationToken::new());
    let http = Http::initialize(config, &cx).await.unwrap();
    for model in MODELS {
        http.deploy(Deployment::new(model, model)).await.unwrap();
    }
    let address = http.service.address;
    Running { http, address, gate, begun, model_server }
}

async fn start(config: HttpConfig) -> Running {
    start_with(config, Fakes::default()).await
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert!(self.head.contains("content-type: application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The code of an error; each has a message, and none shows the inside.
    fn code(&self) -> String {
        let json = self.json();
        assert!(!json["error"]["message"].as_str().unwrap().is_empty(), "{self:?}");
        assert!(!self.body.contains("canary"), "{self:?}");
        json["error"]["code"].as_str().unwrap().to_owned()
    }
}

async fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap().to_lowercase();
    let status = text[9..12].parse().unwrap();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    while bytes.len() < head + length {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the answer is cut off");
    }
    Some(Answer { status, head: text, body: String::from_utf8(bytes.split_off(head)).unwrap() })
}

async fn send(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    timeout(Duration::from_secs(20), read_answer(&mut stream)).await.unwrap().unwrap()
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

const JSON: &str = "Content-Type: application/json\r\n";

fn predicting(model: &str, body: &str) -> String {
    post(&format!("/v1/models/{model}/predict"), JSON, body)
}

async fn predict(address: SocketAddr, model: &str, body: &str) -> Answer {
    send(address, &predicting(model, body)).await
}

const ROW: &str = r#"{"rows": [{"a": 1, "b": 2.5}]}"#;

#[tokio::test]
async fn rows_and_columns_give_the_same_predictions() {
    let it = start(config()).await;
    let expected = json!({"model": "iris", "predictions": [
        {"prediction": "benign", "probabilities": {"benign": 0.75, "malignant": 0.25}},
        {"prediction": "malignant", "probabilities": {"benign": 0.25, "malignant": 0.75}},
    ]});
    let rows = r#"{"rows": [{"a": 1, "b": 2.5, "id": "x"}, {"b": -3e0, "a": 1}]}"#;
    let columns = r#"{"columns": {"b": [2.5, -3], "a": [1, 1], "id": ["x", null]}}"#;
    for body in [rows, columns] {
        let answer = predict(it.address, "iris", body).await;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()));
    }
}

#[tokio::test]
async fn regressions_answer_numbers() {
    let it = start(config()).await;
    let body = r#"{"rows": [{"a": 1, "b": 2.5}, {"a": 0, "b": 0}]}"#;
    let expected = json!([{"prediction": 3.5}, {"prediction": null}]);
    assert_eq!(predict(it.address, "price", body).await.json()["predictions"], expected);
    assert_eq!(predict(it.address, "count", ROW).await.json()["predictions"], json!([{"prediction": 3}]));
}

#[tokio::test]
async fn no_rows_give_no_predictions() {
    let it = start(config()).await;
    for body in [r#"{"rows": []}"#, r#"{"columns": {"a": [], "b": []}}"#] {
        let answer = predict(it.address, "iris", body).await;
        assert_eq!((answer.status, answer.json()["predictions"].clone()), (200, json!([])));
    }
}

#[tokio::test]
async fn bodies_that_are_not_predictions_are_malformed() {
    let it = start(config()).await;
    let deep = "[".repeat(2000);
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "rows",
        deep.as_str(),
        r#"{"rows": 1}"#,
        r#"{"rows": [1]}"#,
        r#"{"columns": []}"#,
        r#"{"columns": {"a": 1, "b": 2}}"#,
        r#"{"rows": [], "columns": {}}"#,
        r#"{"rows": [], "more": 1}"#,
        r#"{"columns": {"a": [1, 2], "b": [1]}}"#,
        "{\"rows\": [{\"a\": \"\u{0}\"}]}",
    ] {
        let answer = predict(it.address, "iris", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn features_at_fault_are_named() {
    let it = start(config()).await;
    for (body, message, features) in [
        (r#"{"rows": [{"a": 1, "b": 1}, {"c": 1}]}"#, "missing: `a` (row 1), `b` (row 1)", json!(["a", "b"])),
        (r#"{"rows": [{"a": "1", "b": null}]}"#, "not a number: `a` (row 0), `b` (row 0)", json!(["a", "b"])),
        (r#"{"rows": [{"b": true}]}"#, "missing: `a` (row 0); not a number: `b` (row 0)", json!(["a", "b"])),
        (r#"{"columns": {"a": [1, "x"]}}"#, "missing: `b` (row 0); not a number: `a` (row 1)", json!(["a", "b"])),
    ] {
        let answer = predict(it.address, "iris", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (422, "invalid_features"), "{body}");
        assert_eq!(
            (&answer.json()["error"]["message"], &answer.json()["error"]["features"]),
            (&json!(message), &features)
        );
    }
    let answer = predict(it.address, "picky", ROW).await;
    assert_eq!((answer.status, answer.code().as_str()), (422, "invalid_features"));
    assert!(answer.body.contains("`b` must be positive"));
}

#[tokio::test]
async fn models_and_their_signatures_can_be_read() {
    let it = start(config()).await;
    let models = get(it.address, "/v1/models").await.json();
    let names: Vec<&str> =
        models["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names, MODELS);
    let url = format!("http://{}/v1/models/iris/predict", it.address);
    let expected = json!({"name": "iris", "features": ["a", "b"], "target": "diagnosis", "classes": ["benign", "malignant"], "url": url});
    assert_eq!(get(it.address, "/v1/models/iris").await.json(), expected);
}

#[tokio::test]
async fn unknown_models_and_addresses_are_not_found() {
    let it = start(config()).await;
    for path in ["/v1/models/other", "/v1/models/..%2f..%2fetc", "/v1/models/%22%7b"] {
        let answer = get(it.address, path).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "unknown_model"), "{path}");
    }
    for path in ["/", "/v1", "/v1/models/iris/other", "/v1/models/iris/predict/more", "/metrics/x", "//health"] {
        let answer = get(it.address, path).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "unknown_route"), "{path}");
    }
    assert_eq!(get(it.address, "/metrics").await.code(), "no_monitoring");
    assert_eq!(get(it.address, "/v1/models/%ff").await.code(), "malformed");
    assert_eq!(predict(it.address, "other", ROW).await.code(), "unknown_model");
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_one() {
    let it = start(config()).await;
    for (request, allow) in [
        ("GET /v1/models/iris/predict", "allow: post"),
        ("DELETE /v1/models/iris", "allow: get,head"),
        ("PUT /health", "allow: get,head"),
        ("INVENTED /v1/models", "allow: get,head"),
    ] {
        let answer = send(it.address, &format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!((answer.status, answer.code().as_str()), (405, "wrong_method"), "{request}");
        assert!(answer.head.contains(allow), "{answer:?}");
    }
}

#[tokio::test]
async fn only_json_is_read() {
    let it = start(config()).await;
    for headers in ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"] {
        let answer = send(it.address, &post("/v1/models/iris/predict", headers, ROW)).await;
        assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_media_type"), "{headers}");
    }
    for headers in ["Content-Type: Application/JSON; charset=utf-8\r\n", "Content-Type: application/vnd.x+json\r\n"] {
        assert_eq!(send(it.address, &post("/v1/models/iris/predict", headers, ROW)).await.status, 200);
    }
}

#[tokio::test]
async fn large_bodies_are_refused_whether_announced_or_not() {
    let it = start(config()).await;
    let answer = predict(it.address, "iris", &" ".repeat(9000)).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
    assert!(answer.head.contains("connection: close"));

    let head = format!("POST /v1/models/iris/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{JSON}\r\n");
    let chunk = format!("400\r\n{}\r\n", " ".repeat(1024));
    let answer = send(it.address, &format!("{head}{}0\r\n\r\n", chunk.repeat(9))).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));

    // A client that asks first is refused before it sends anything.
    let announced = format!(
        "POST /v1/models/iris/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n{JSON}\r\n"
    );
    let started = Instant::now();
    assert_eq!(send(it.address, &announced).await.status, 413);
    assert!(started.elapsed() < Duration::from_millis(900), "it waited for a body that never comes");

    // Just within the limit.
    let body = format!("{ROW}{}", " ".repeat(4096 - ROW.len()));
    assert_eq!(predict(it.address, "iris", &body).await.status, 200);
}

#[tokio::test]
async fn too_many_rows_are_refused() {
    let it = start(config()).await;
    for body in
        [json!({"rows": vec![json!({"a": 1, "b": 1}); 51]}), json!({"columns": {"a": vec![1; 51], "b": vec![1; 51]}})]
    {
        let answer = predict(it.address, "iris", &body.to_string()).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "too_many_rows"));
    }
}

#[tokio::test]
async fn large_requests_are_answered_like_small_ones() {
    let it = start(HttpConfig { max_body: 1 << 20, max_rows: 10_000, ..config() }).await;
    let body = json!({"rows": vec![json!({"a": 1.0, "b": 1.0}); 10_000]}).to_string();
    assert!(body.len() > 64 << 10);
    let answer = predict(it.address, "iris", &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["predictions"].as_array().unwrap().len(), 10_000);
}

#[tokio::test]
async fn a_slow_model_meets_the_deadline() {
    let it = start(HttpConfig { timeout: Duration::from_millis(200), ..config() }).await;
    let started = Instant::now();
    let answer = predict(it.address, "slow", ROW).await;
    assert_eq!((answer.status, answer.code().as_str()), (504, "deadline"));
    assert!((200..2000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn slow_clients_meet_the_deadline() {
    let it = start(HttpConfig { timeout: Duration::from_millis(200), ..config() }).await;
    // A body that stops in the middle.
    let answer = send(
        it.address,
        &format!("POST /v1/models/iris/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n{JSON}\r\n{{"),
    )
    .await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "slow_request"));
    // A body that drips.
    let mut stream = TcpStream::connect(it.address).await.unwrap();
    let head = format!("POST /v1/models/iris/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n{JSON}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let dripping = async {
        while stream.write_all(b" ").await.is_ok() {
            if let Ok(answer) = timeout(Duration::from_millis(20), read_answer(&mut stream)).await {
                return answer;
            }
        }
        None
    };
    assert_eq!(timeout(Duration::from_secs(5), dripping).await.unwrap().unwrap().status, 408);
    // A head that never ends, and a connection that says nothing.
    for request in ["GET /health HTTP/1.1\r\nHost:", ""] {
        let mut stream = TcpStream::connect(it.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("it is closed").unwrap();
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_connection() {
    let it = start(HttpConfig { timeout: Duration::from_millis(300), ..config() }).await;
    let mut stream = TcpStream::connect(it.address).await.unwrap();
    let request = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500);
    let flooding = async { while stream.write_all(&request).await.is_ok() {} };
    timeout(Duration::from_secs(15), flooding).await.expect("it is closed");
}

#[tokio::test]
async fn a_client_that_goes_away_harms_nobody() {
    let it = start(config()).await;
    for bytes in [
        &b"\x00\xff\xfe garbage\r\n\r\n"[..],
        b"POST /v1/models/iris/predict HTTP/1.1\r\nContent-Length: 50\r\n\r\n{",
        b"GET /",
    ] {
        let mut stream = TcpStream::connect(it.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
    }
    assert_eq!(get(it.address, "/health").await.status, 200);
}

#[tokio::test]
async fn failures_of_the_inside_stay_inside() {
    let it = start(config()).await;
    for (model, status, code) in [
        ("broken", 500, "internal"),
        ("panics", 500, "internal"),
        ("short", 500, "internal"),
        ("busy", 503, "unavailable"),
    ] {
        let answer = predict(it.address, model, ROW).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{model}");
    }
    // The operator sees what it was.
    predict(it.address, "broken", ROW).await;
    assert!(it.http.health().await.unwrap().details["last_failure"].as_str().unwrap().contains(CANARY));
}

#[tokio::test]
async fn a_stopped_model_server_is_unavailable() {
    let it = start(config()).await;
    assert_eq!(get(it.address, "/ready").await.json(), json!({"status": "ready"}));
    let retired = it.model_server.close();
    let answer = predict(it.address, "iris", ROW).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
    assert!(answer.head.contains("retry-after: 1"));
    let answer = get(it.address, "/ready").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not_ready"));
    assert_eq!(get(it.address, "/health").await.status, 200);
    drop(retired);
}

#[tokio::test]
async fn not_ready_while_a_deployed_model_is_not_loaded() {
    let it = start(config()).await;
    let server = Handle::<dyn ModelServer>::new(it.model_server.clone()).unwrap();
    server.unload("price").await.unwrap();
    let answer = get(it.address, "/ready").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.code(), "not_ready");
    assert!(answer.body.contains("`price`"));
    assert_eq!(predict(it.address, "price", ROW).await.code(), "unknown_model");
}

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let it = start(config()).await;
    let mut stream = TcpStream::connect(it.address).await.unwrap();
    for request in [predicting("iris", ROW), predicting("iris", "{"), predicting("other", ROW), predicting("iris", ROW)]
    {
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(read_answer(&mut stream).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_predictions_at_once() {
    let it = start(HttpConfig { max_connections: 20, ..config() }).await;
    let clients: Vec<_> = (0..100)
        .map(|client| {
            let address = it.address;
            tokio::spawn(async move {
                let answer = predict(address, "price", &format!(r#"{{"rows": [{{"a": {client}, "b": 0.5}}]}}"#)).await;
                assert_eq!(answer.json()["predictions"][0]["prediction"], json!(f64::from(client) + 0.5));
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn deployments_come_and_go() {
    let it = start(config()).await;
    let endpoint = it.http.deploy(Deployment::new("flowers-2.0", "iris").server("local")).await.unwrap();
    assert_eq!(endpoint.url, format!("http://{}/v1/models/flowers-2.0/predict", it.address));
    assert_ne!(it.address.port(), 0);
    assert!(it.http.endpoints().await.unwrap().contains(&endpoint));
    assert_eq!(predict(it.address, "flowers-2.0", ROW).await.json()["model"], "flowers-2.0");
    it.http.undeploy("flowers-2.0").await.unwrap();
    assert_eq!(predict(it.address, "flowers-2.0", ROW).await.status, 404);
    let error = it.http.undeploy("flowers-2.0").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("`iris`"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_deployed_is_refused() {
    let it = start(config()).await;
    let error = it.http.deploy(Deployment::new("x", "unknown")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = it.http.deploy(Deployment::new("x", "iris").server("other")).await.unwrap_err();
    assert!(error.to_string().contains("choosing the model server of `x`"), "{error}");
    for name in ["", "a/b", "..", ".", "a b", "é", "a?b", &"x".repeat(129)] {
        assert_eq!(
            it.http.deploy(Deployment::new(name, "iris")).await.unwrap_err().kind(),
            ErrorKind::Invalid,
            "{name}"
        );
    }
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_flight_and_frees_the_port() {
    let it = start(config()).await;
    let address = it.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let in_flight = tokio::spawn(async move { predict(address, "gate", ROW).await });
    it.begun.acquire().await.unwrap().forget();
    let gate = it.gate.clone();
    let opening = tokio::spawn(async move {
        sleep(Duration::from_millis(100)).await;
        // Nobody new is let in meanwhile.
        assert!(TcpStream::connect(address).await.is_err());
        gate.add_permits(1);
    });
    it.http.shutdown().await.unwrap();
    // At once, on the same address.
    drop(TcpListener::bind(address).await.unwrap());
    let answer = in_flight.await.unwrap();
    assert_eq!((answer.status, answer.json()["model"].as_str()), (200, Some("gate")));
    opening.await.unwrap();
    assert!(read_answer(&mut idle).await.is_none(), "idle connections are closed");
    assert!(!it.http.health().await.unwrap().is_healthy());
    assert_eq!(it.http.deploy(Deployment::new("x", "iris")).await.unwrap_err().kind(), ErrorKind::Stopped);
    it.http.shutdown().await.unwrap();
}

#[tokio::test]
async fn shutdown_cuts_off_what_does_not_finish() {
    let it = start(HttpConfig {
        shutdown_timeout: Duration::from_millis(200),
        timeout: Duration::from_secs(60),
        ..config()
    })
    .await;
    let mut stream = TcpStream::connect(it.address).await.unwrap();
    stream.write_all(predicting("gate", ROW).as_bytes()).await.unwrap();
    it.begun.acquire().await.unwrap().forget();
    let error = it.http.shutdown().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("1 connections"), "{error}");
    assert!(read_answer(&mut stream).await.is_none());
    drop(TcpListener::bind(it.address).await.unwrap());
}

#[tokio::test]
async fn requests_that_come_while_it_stops_are_refused() {
    let it = start(config()).await;
    let mut stream = TcpStream::connect(it.address).await.unwrap();
    stream.write_all(b"GET /v1/models HTTP/1.1\r\n").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let (stopped, answer) = tokio::join!(it.http.shutdown(), async {
        sleep(Duration::from_millis(50)).await;
        stream.write_all(b"Host: x\r\n\r\n").await.unwrap();
        read_answer(&mut stream).await.unwrap()
    });
    stopped.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (503, "stopping"));
}

#[tokio::test]
async fn dropping_it_frees_the_port() {
    let it = start(config()).await;
    let address = it.address;
    drop(it);
    let freed = async {
        while TcpListener::bind(address).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), freed).await.unwrap();
}

async fn refused(config: HttpConfig, fakes: Fakes) -> Error {
    let cx = InitContext::new("http", Arc::new(fakes), CancellationToken::new());
    Http::initialize(config, &cx).await.unwrap_err()
}

fn one_server() -> Fakes {
    let mut fakes = Fakes::default();
    fakes.add::<dyn ModelServer>("local", Arc::new(FakeServer::new()));
    fakes
}

#[tokio::test]
async fn a_taken_address_is_named_with_what_to_do() {
    let it = start(config()).await;
    let error = refused(HttpConfig { address: it.address, ..config() }, one_server()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(text.contains(&it.address.to_string()) && text.contains("set `address` to another port"), "{text}");
    // An address kept for documentation, which no machine has.
    let error = refused(HttpConfig { address: "192.0.2.1:0".parse().unwrap(), ..config() }, one_server()).await;
    assert!(error.to_string().contains("no such address"), "{error}");
}

#[tokio::test]
async fn what_is_missing_is_said_at_the_start() {
    assert!(refused(config(), Fakes::default()).await.to_string().contains("model server"));
    let error = refused(HttpConfig { require_authentication: true, ..config() }, one_server()).await;
    assert!(error.to_string().contains("no security plugin"), "{error}");
    let error = refused(HttpConfig { timeout: Duration::ZERO, ..config() }, one_server()).await;
    assert!(error.to_string().contains("`timeout` is zero"), "{error}");
}

#[tokio::test]
async fn with_several_model_servers_a_deployment_names_one() {
    let mut fakes = one_server();
    fakes.0.extend(
        one_server().0.into_iter().map(|(kind, slot)| (kind, Arc::new(Slot::new(format!("{}-2", slot.name()))))),
    );
    let cx = InitContext::new("http", Arc::new(fakes), CancellationToken::new());
    let http = Http::initialize(config(), &cx).await.unwrap();
    let error = http.deploy(Deployment::new("x", "iris")).await.unwrap_err();
    assert!(error.to_string().contains("choosing the model server of `x`"), "{error}");
    http.deploy(Deployment::new("x", "iris").server("local")).await.unwrap();
}

/// Takes nothing, ever.
struct Stuck;

#[async_trait]
impl Monitoring for Stuck {
    async fn record(&self, _: Vec<Measurement>) -> Result<()> {
        std::future::pending().await
    }
    async fn export(&self) -> Result<String> {
        Ok("# EOF\n".into())
    }
}

#[tokio::test]
async fn stuck_monitoring_delays_no_answer() {
    let mut fakes = Fakes::default();
    fakes.add::<dyn Monitoring>("stuck", Arc::new(Stuck));
    let it = start_with(config(), fakes).await;
    let mut stream = TcpStream::connect(it.address).await.unwrap();
    for _ in 0..1600 {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_eq!(read_answer(&mut stream).await.unwrap().status, 200);
    }
    let health = it.http.health().await.unwrap();
    assert!(health.details["dropped_measurements"].as_u64().unwrap() > 100, "{health:?}");
    assert!(get(it.address, "/metrics").await.head.contains("application/openmetrics-text"));
    it.http.shutdown().await.unwrap();
}

/// With the real plugins beside it.
#[cfg(all(feature = "monitoring-prometheus", feature = "security-api-keys"))]
mod integration {
    use super::*;
    use crate::{
        monitoring::prometheus::{Prometheus, PrometheusConfig},
        security::api_keys::{ApiKey, ApiKeys, ApiKeysConfig},
    };
    use mlx_core::registry::{Registration, Registry};

    async fn prometheus() -> Arc<Prometheus> {
        let config = PrometheusConfig { prefix: "mlx_".into(), buckets: vec![0.1, 10.0], max_series: 1000 };
        Arc::new(Prometheus::initialize(config, &InitContext::alone("prometheus")).await.unwrap())
    }

    async fn keys() -> Arc<ApiKeys> {
        let key = |name: &str, scopes: &[&str]| ApiKey {
            name: name.into(),
            key: Secret::new(format!("{CANARY}-{name}")),
            scopes: scopes.iter().map(|&scope| scope.into()).collect(),
        };
        let keys = vec![
            key("iris", &["predict:iris"]),
            key("all", &["*"]),
            key("nothing", &[]),
            key("scraper", &["read:metrics"]),
        ];
        let config = ApiKeysConfig { keys, secrets_dir: None };
        Arc::new(ApiKeys::initialize(config, &InitContext::alone("api-keys")).await.unwrap())
    }

    async fn guarded() -> Running {
        let mut fakes = Fakes::default();
        fakes.add::<dyn Security>("api-keys", keys().await);
        fakes.add::<dyn Monitoring>("prometheus", prometheus().await);
        start_with(HttpConfig { require_authentication: true, ..config() }, fakes).await
    }

    #[tokio::test]
    async fn callers_are_let_in_by_their_scopes() {
        let it = guarded().await;
        let bearer = |key: &str| format!("Authorization: Bearer {CANARY}-{key}\r\n");
        let api_key = |key: &str| format!("X-API-Key: {CANARY}-{key}\r\n");
        for (headers, model, status) in [
            (String::new(), "iris", 401),
            (bearer("iris"), "iris", 200),
            (api_key("iris"), "iris", 200),
            (bearer("iris").replace("Bearer", "bearer "), "iris", 200),
            (bearer("iris"), "price", 403),
            // Whether a model is there is nobody's business without leave.
            (bearer("iris"), "other", 403),
            (bearer("all"), "price", 200),
            (bearer("all"), "other", 404),
            (bearer("nothing"), "iris", 403),
            (bearer("wrong"), "iris", 401),
            (api_key("wrong"), "iris", 401),
            (format!("Authorization: {CANARY}-iris\r\n"), "iris", 401),
            (format!("Authorization: Basic {CANARY}-iris\r\n"), "iris", 401),
            ("Authorization: Bearer \r\n".to_owned(), "iris", 401),
            ("X-API-Key: \u{e9}\r\n".to_owned(), "iris", 401),
            (format!("{}{}", bearer("wrong"), api_key("iris")), "iris", 401),
        ] {
            let answer =
                send(it.address, &post(&format!("/v1/models/{model}/predict"), &format!("{headers}{JSON}"), ROW)).await;
            assert_eq!(answer.status, status, "{headers} {model}: {answer:?}");
            match status {
                401 => assert!(answer.code() == "unauthenticated" && answer.head.contains("www-authenticate: bearer")),
                403 => assert_eq!(answer.code(), "forbidden"),
                _ => {}
            }
        }
    }

    #[tokio::test]
    async fn all_but_the_probes_needs_a_credential() {
        let it = guarded().await;
        for (path, expected) in
            [("/health", 200), ("/ready", 200), ("/metrics", 401), ("/v1/models", 401), ("/v1/models/iris", 401)]
        {
            assert_eq!(get(it.address, path).await.status, expected, "{path}");
        }
        let with = async |path: &str, key: &str| {
            send(it.address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {CANARY}-{key}\r\n\r\n")).await
        };
        assert_eq!(with("/metrics", "scraper").await.status, 200);
        assert_eq!(with("/metrics", "iris").await.status, 403);
        assert_eq!(with("/v1/models/iris", "iris").await.status, 200);
        assert_eq!(with("/v1/models/price", "iris").await.status, 403);
        let models = with("/v1/models", "iris").await.json();
        assert_eq!(models["models"].as_array().unwrap().len(), 1, "only what the caller may use: {models}");
    }

    #[tokio::test]
    async fn an_unauthenticated_body_is_not_kept() {
        let it = guarded().await;
        let answer = send(it.address, &post("/v1/models/iris/predict", JSON, &" ".repeat(9000))).await;
        assert_eq!(answer.status, 401);
    }

    #[tokio::test]
    async fn no_key_shows_anywhere() {
        let it = guarded().await;
        let credentials = format!("Authorization: Bearer {CANARY}-iris\r\nX-API-Key: {CANARY}-all\r\n{JSON}");
        let mut seen = String::new();
        for path in ["/v1/models/iris/predict", "/v1/models/price/predict", "/v1/models", "/nowhere"] {
            seen += &format!("{:?}", send(it.address, &post(path, &credentials, "{")).await);
        }
        let scrape = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX-API-Key: {CANARY}-all\r\n\r\n");
        seen += &format!("{:?}", send(it.address, &scrape).await);
        seen += &format!("{:?} {:?}", it.http, it.http.health().await.unwrap());
        assert!(!seen.contains("canary"), "{seen}");
    }

    #[tokio::test]
    async fn requests_are_measured() {
        let mut fakes = Fakes::default();
        fakes.add::<dyn Monitoring>("prometheus", prometheus().await);
        let it = start_with(config(), fakes).await;
        predict(it.address, "iris", r#"{"rows": [{"a": 1, "b": 1}, {"a": 1, "b": 1}]}"#).await;
        predict(it.address, "iris", "{").await;
        predict(it.address, "panics", ROW).await;
        for path in ["/v1/models/invented", "/invented", "/health"] {
            get(it.address, path).await;
        }
        let predict = "method=\"POST\",model=\"iris\",route=\"/v1/models/{name}/predict\"";
        let expected = [
            format!("mlx_http_requests_total{{{predict},status=\"200\"}} 1\n"),
            format!("mlx_http_requests_total{{{predict},status=\"400\"}} 1\n"),
            format!("mlx_http_request_errors_total{{code=\"malformed\",{predict}}} 1\n"),
            "mlx_http_request_errors_total{code=\"internal\",method=\"POST\",model=\"panics\"".to_owned(),
            "mlx_http_requests_total{method=\"GET\",route=\"/v1/models/{name}\",status=\"404\"} 1\n".to_owned(),
            "mlx_http_requests_total{method=\"GET\",route=\"unknown\",status=\"404\"} 1\n".to_owned(),
            format!("mlx_http_request_duration_seconds_count{{{predict}}} 2\n"),
            "mlx_http_predicted_rows_total{model=\"iris\"} 2\n".to_owned(),
            "mlx_http_dropped_measurements_total 0\n".to_owned(),
        ];
        // They are recorded beside the answers, so a moment later.
        let mut text = String::new();
        for _ in 0..100 {
            let answer = get(it.address, "/metrics").await;
            assert!(answer.head.contains("content-type: text/plain; version=0.0.4"));
            text = answer.body;
            if expected.iter().all(|line| text.contains(line)) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        for line in expected {
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(!text.contains("invented"), "callers cannot make up series");
    }

    #[tokio::test]
    async fn shutdown_records_what_still_waits() {
        let monitoring = prometheus().await;
        let mut fakes = Fakes::default();
        fakes.add::<dyn Monitoring>("prometheus", monitoring.clone());
        let it = start_with(config(), fakes).await;
        for _ in 0..20 {
            get(it.address, "/health").await;
        }
        it.http.shutdown().await.unwrap();
        let text = monitoring.export().await.unwrap();
        assert!(text.contains("route=\"/health\",status=\"200\"} 20\n"), "{text}");
    }

    #[tokio::test]
    async fn a_composition_makes_a_server_that_lets_in_who_it_knows() {
        static PLUGINS: [Registration; 4] = [
            Registration::new::<Http>(),
            Registration::new::<FakeServer>(),
            Registration::new::<ApiKeys>(),
            Registration::new::<Prometheus>(),
        ];
        let composition = format!(
            "
name: serving
plugins:
  - type: serving_platform
    name: http
    config:
      address: 127.0.0.1:0
      timeout: 5s
      require_authentication: true
  - type: model_server
    name: fake-for-http
  - type: monitoring
    name: prometheus
    config:
      buckets: [0.01, 0.1, 1, 10]
  - type: security
    name: api-keys
    config:
      keys:
        - {{ name: dashboard, key: {CANARY}, scopes: [\"predict:iris\"] }}
"
        );
        let registry = Registry::from_registrations(&PLUGINS);
        let platform = registry.activate(Composition::from_yaml(&composition).unwrap()).await.unwrap();
        let http = platform.get::<dyn ServingPlatform>("http").unwrap();
        let endpoint = http.deploy(Deployment::new("iris", "iris").server("fake-for-http")).await.unwrap();
        let address: SocketAddr = endpoint.url["http://".len()..].split('/').next().unwrap().parse().unwrap();

        assert_eq!(predict(address, "iris", ROW).await.status, 401);
        let known = format!("X-API-Key: {CANARY}\r\n{JSON}");
        assert_eq!(send(address, &post("/v1/models/iris/predict", &known, ROW)).await.status, 200);
        let shown = format!("{platform:?} {} {:?}", platform.plan().to_json(), platform.health().await);
        assert!(!shown.contains("canary"), "{shown}");
        platform.shutdown().await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}

#[path = "swaps.rs"]
mod swaps;
