//! Replacing the plugin under load.

use super::*;
use mlx_core::platform::Replacement;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const BODY: &str = r#"{"rows": [{"a": 1, "b": 1}]}"#;

fn composition() -> Composition {
    Composition::builder()
        .plugin("model_server", "fake-for-http", json!({}))
        .plugin("serving_platform", "http", json!({"address": "127.0.0.1:0", "shutdown_timeout": "4s"}))
        .build()
}

async fn platform() -> (Platform, SocketAddr) {
    let platform = registry().activate(composition()).await.unwrap();
    let http = platform.get::<dyn ServingPlatform>("http").unwrap();
    for model in ["iris", "gate"] {
        http.deploy(Deployment::new(model, model)).await.unwrap();
    }
    let address = address(&platform).await;
    (platform, address)
}

async fn address(platform: &Platform) -> SocketAddr {
    let http = platform.get::<dyn ServingPlatform>("http").unwrap();
    let health = Handle::health(&http).await.unwrap();
    health.details["address"].as_str().unwrap().parse().unwrap()
}

/// Predicts on connections that stay open until it is told to stop, and returns how often; each answer has to be right,
/// and no connection may end.
struct Clients {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Clients {
    fn start(address: SocketAddr, count: usize) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..count).map(|_| {
            let (stop, answered) = (stop.clone(), answered.clone());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(predicting("iris", BODY).as_bytes()).await.unwrap();
                    let answer = read_answer(&mut stream).await.expect("the connection was closed");
                    assert_eq!(answer.status, 200, "{answer:?}");
                    assert!(answer.body.contains("benign"), "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        Clients { tasks: tasks.collect(), stop, answered }
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.answered.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_swaps_lose_no_request_and_no_connection() {
    let (platform, address) = platform().await;
    let clients = Clients::start(address, 8);
    for swap in 0..120_u32 {
        let replacement = Replacement::merge(json!({"max_rows": 50 + swap}));
        let applied = platform.swap("http", replacement).await.unwrap();
        assert_eq!(applied.swapped, ["serving_platform/http"]);
        assert!(applied.warnings.is_empty(), "{applied:?}");
        let answered = clients.answered.load(Ordering::Relaxed);
        while clients.answered.load(Ordering::Relaxed) < answered + 8 {
            tokio::task::yield_now().await;
        }
    }
    let answered = clients.end().await;
    println!("120 swaps under {answered} requests on 8 connections: none failed, none was closed");
    // The settings of the last one hold, on the socket of the first.
    let rows = vec![r#"{"a": 1, "b": 1}"#; 170].join(",");
    assert_eq!(predict(address, "iris", &format!(r#"{{"rows": [{rows}]}}"#)).await.code(), "too_many_rows");
    assert_eq!(super::get(address, "/v1/models").await.json()["models"].as_array().unwrap().len(), 2);
    platform.shutdown().await.unwrap();
    drop(TcpListener::bind(address).await.unwrap());
}

#[tokio::test]
async fn a_successor_that_does_not_get_ready_leaves_everything_as_it_was() {
    let (platform, address) = platform().await;
    let clients = Clients::start(address, 2);
    for _ in 0..5 {
        let error = platform.swap("http", Replacement::merge(json!({"timeout": "0s"}))).await.unwrap_err();
        assert!(error.to_string().contains("was not changed"), "{error}");
    }
    // This one is ready, and undone because of another.
    let broken = Composition::builder()
        .plugin("model_server", "fake-for-http", json!({}))
        .plugin("serving_platform", "http", json!({"address": "127.0.0.1:0", "max_rows": 1}))
        .plugin("monitoring", "starts-never", json!({}))
        .build();
    for _ in 0..5 {
        platform.apply(&broken).await.unwrap_err();
    }
    assert!(clients.end().await > 0);
    assert_eq!(predict(address, "iris", BODY).await.status, 200);
    platform.swap("http", Replacement::merge(json!({"max_rows": 1}))).await.unwrap();
    assert_eq!(predict(address, "iris", BODY).await.status, 200);
    platform.shutdown().await.unwrap();
}

/// Requires the server, so that it is still to start when the server is ready.
#[mlx_plugin(type = "monitoring", name = "starts-never", requires = ["type:serving_platform"])]
struct StartsNever;

#[async_trait]
impl Plugin for StartsNever {
    type Config = NoConfig;

    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Err(Error::failed("on purpose"))
    }
}

#[async_trait]
impl Monitoring for StartsNever {
    async fn record(&self, _: Vec<Measurement>) -> Result<()> {
        Ok(())
    }

    async fn export(&self) -> Result<String> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn a_request_in_flight_is_finished_by_the_one_that_began_it() {
    let gate = FakeServer::new();
    let (permits, begun) = (gate.gate.clone(), gate.begun.clone());
    let mut fakes = Fakes::default();
    fakes.add::<dyn ModelServer>("local", Arc::new(gate));
    let fakes: Arc<dyn Peers> = Arc::new(fakes);
    let context = || InitContext::new("http", fakes.clone(), CancellationToken::new());
    let old = Http::initialize(config(), &context()).await.unwrap();
    old.deploy(Deployment::new("gate", "gate")).await.unwrap();
    let address = old.service.address;
    let request = tokio::spawn(async move { predict(address, "gate", BODY).await });
    begun.acquire().await.unwrap().forget();

    let handed = Plugin::hand_over(&old).await.unwrap();
    let new = Http::initialize(HttpConfig { max_rows: 1, ..config() }, &context().with_handover(handed)).await.unwrap();
    let (done, finish) = (AtomicBool::new(false), async {
        sleep(Duration::from_millis(50)).await;
        permits.add_permits(1);
    });
    let stop = async {
        Plugin::shutdown(&old).await.unwrap();
        done.store(true, Ordering::Relaxed);
    };
    let ((), ()) = tokio::join!(stop, async {
        // The successor answers meanwhile.
        while predict(address, "gate", r#"{"rows": [{"a": 1, "b": 1}, {"a": 1, "b": 1}]}"#).await.status != 413 {}
        assert!(!done.load(Ordering::Relaxed), "the stop waits for the request");
        finish.await;
    });
    assert_eq!(request.await.unwrap().status, 200);
    drop(old);
    assert_eq!(new.endpoints().await.unwrap().len(), 1);
    Plugin::shutdown(&new).await.unwrap();
    drop(TcpListener::bind(address).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_another_address_open_connections_are_answered_to_their_end() {
    let (platform, before) = platform().await;
    let mut idle = TcpStream::connect(before).await.unwrap();
    idle.write_all(predicting("iris", BODY).as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut idle).await.unwrap().status, 200);

    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = taken.local_addr().unwrap().to_string();
    let moved = || Replacement::merge(json!({"address": other}));
    let error = platform.swap("http", moved()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(predict(before, "iris", BODY).await.status, 200);

    drop(taken);
    let change = platform.swap("http", moved());
    let client = async {
        // As soon as nobody listens at the old address, the new one is there.
        while TcpStream::connect(before).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(predict(other.parse().unwrap(), "iris", BODY).await.status, 200);
        idle.write_all(predicting("iris", BODY).as_bytes()).await.unwrap();
        let answer = read_answer(&mut idle).await.expect("an answer, not a closed connection");
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("connection: close"), "{answer:?}");
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0, "then it ends");
    };
    let (applied, ()) = tokio::join!(change, client);
    assert!(applied.unwrap().warnings.is_empty());
    assert_eq!(address(&platform).await.to_string(), other);
    platform.shutdown().await.unwrap();
}
