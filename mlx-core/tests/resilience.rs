//! Policies between callers and a plugin: each of them in each way it can end, and what becomes of them in a live change.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use futures_core::Stream;
use mlx_core::{
    Diagnostic, ErrorKind, contract,
    diagnostics::Code,
    platform::{PluginState, PluginStatus, Replacement, StatusEvent},
    plugin::{MethodInfo, PluginKind},
    prelude::*,
    resilience::{CircuitBreaker, CircuitState, Resilience, ResilienceMetrics, Retry},
};
use tokio::time::{Instant, sleep, timeout};

/// What cannot be given twice.
pub struct Once(pub u64);

/// An error of the contract's own.
#[derive(Debug)]
pub enum Strict {
    /// By the plugin.
    Refused,
    /// By the handle.
    Unreachable(Error),
}

impl From<Error> for Strict {
    fn from(error: Error) -> Self {
        Strict::Unreachable(error)
    }
}

/// Something far away.
#[contract(name = "remote")]
#[async_trait]
pub trait Remote {
    /// May be repeated.
    #[idempotent]
    async fn read(&self, key: &str, tags: Vec<String>) -> Result<u64>;
    /// Must not be.
    async fn write(&self, value: Once) -> Result<u64>;
    /// May be repeated until there is a stream.
    #[idempotent]
    async fn items(&self) -> Result<BoxStream<u64>>;
    /// Waits for nothing.
    fn peek(&self) -> Result<u64>;
    /// With another error.
    #[idempotent]
    async fn strict(&self) -> Result<u64, Strict>;
}

/// Without anything that could be waited for or repeated.
#[contract(name = "local")]
pub trait Local {
    /// Answers.
    fn answer(&self) -> Result<u64>;
}

/// What the plugin does, call by call.
#[derive(PluginConfig)]
pub struct RemoteConfig {
    /// Under which its calls are counted.
    #[config(default)]
    key: String,
    /// `ok`, `down`, `bad`, `hang`, `panic`, or a duration; `ok` when there are no more.
    #[config(default)]
    answers: Vec<String>,
}

static CALLS: LazyLock<Mutex<HashMap<String, u64>>> = LazyLock::new(Mutex::default);

fn calls(key: &str) -> u64 {
    CALLS.lock().unwrap().get(key).copied().unwrap_or_default()
}

/// Does as it is told.
#[mlx_plugin(type = Remote)]
pub struct Scripted {
    key: String,
    answers: Mutex<Vec<String>>,
}

#[async_trait]
impl Plugin for Scripted {
    type Config = RemoteConfig;
    async fn initialize(mut config: RemoteConfig, _: &InitContext) -> Result<Self> {
        config.answers.reverse();
        Ok(Scripted { key: config.key, answers: Mutex::new(config.answers) })
    }
}

impl Scripted {
    fn begin(&self) -> (u64, String) {
        let mut calls = CALLS.lock().unwrap();
        let count = calls.entry(self.key.clone()).or_default();
        *count += 1;
        (*count, self.answers.lock().unwrap().pop().unwrap_or_else(|| "ok".to_owned()))
    }

    async fn answer(&self) -> Result<u64> {
        let (count, answer) = self.begin();
        match answer.as_str() {
            "ok" => Ok(count),
            "down" => Err(Error::unavailable("connection refused")),
            "bad" => Err(Error::invalid("no such column")),
            "panic" => panic!("on purpose"),
            "hang" => std::future::pending().await,
            millis => {
                sleep(Duration::from_millis(millis.parse().unwrap())).await;
                Ok(count)
            }
        }
    }
}

struct Items(u64);

impl Stream for Items {
    type Item = Result<u64>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<u64>>> {
        self.0 += 1;
        std::task::Poll::Ready((self.0 < 3).then_some(Ok(self.0)))
    }
}

#[async_trait]
impl Remote for Scripted {
    async fn read(&self, key: &str, tags: Vec<String>) -> Result<u64> {
        assert_eq!((key, tags), ("key", vec!["tag".to_owned()]));
        self.answer().await
    }
    async fn write(&self, value: Once) -> Result<u64> {
        self.answer().await.map(|_| value.0)
    }
    async fn items(&self) -> Result<BoxStream<u64>> {
        self.answer().await?;
        Ok(Box::pin(Items(0)))
    }
    fn peek(&self) -> Result<u64> {
        match self.begin() {
            (count, answer) if answer == "ok" => Ok(count),
            _ => Err(Error::unavailable("connection refused")),
        }
    }
    async fn strict(&self) -> Result<u64, Strict> {
        self.answer().await.map_err(|_| Strict::Refused)
    }
}

/// Answers.
#[mlx_plugin(type = Local)]
pub struct Near;

#[async_trait]
impl Plugin for Near {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Near)
    }
}

impl Local for Near {
    fn answer(&self) -> Result<u64> {
        Ok(1)
    }
}

fn composition(key: &str, answers: &str, resilience: &str) -> Composition {
    let text = format!(
        "plugins: [{{type: remote, name: scripted, config: {{key: {key}, answers: [{answers}]}}, resilience: {{{resilience}}}}}]"
    );
    Composition::from_yaml(&text).unwrap()
}

async fn start(key: &str, answers: &str, resilience: &str) -> (Platform, Handle<dyn Remote>) {
    let platform = registry().activate(composition(key, answers, resilience)).await.unwrap();
    let remote = platform.get::<dyn Remote>("scripted").unwrap();
    (platform, remote)
}

async fn read(remote: &dyn Remote) -> Result<u64> {
    remote.read("key", vec!["tag".to_owned()]).await
}

fn metrics(platform: &Platform) -> ResilienceMetrics {
    platform.metrics().resilience["remote/scripted"]
}

fn status(platform: &Platform) -> PluginStatus {
    platform.status().remove(0)
}

fn warnings(text: &str) -> Vec<Diagnostic> {
    registry().resolve(&Composition::from_yaml(text).unwrap()).unwrap().warnings().to_vec()
}

#[test]
fn a_contract_says_which_methods_may_be_repeated() {
    let found: Vec<(&str, bool, bool)> = <dyn Remote>::INFO
        .methods
        .iter()
        .map(|MethodInfo { name, is_async, idempotent }| (*name, *is_async, *idempotent))
        .collect();
    let expected = [
        ("read", true, true),
        ("write", true, false),
        ("items", true, true),
        ("peek", false, false),
        ("strict", true, true),
    ];
    assert_eq!(found, expected);
}

#[tokio::test(start_paused = true)]
async fn without_policies_nothing_stands_between() {
    let (platform, remote) = start("plain", "down", "").await;
    assert!(!Handle::slot(&remote).lease().unwrap().is_guarded());
    assert_eq!(read(&remote).await.unwrap_err().to_string(), "connection refused");
    assert!(platform.metrics().resilience.is_empty());
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn idempotent_calls_are_repeated_when_the_failure_may_pass() {
    let (platform, remote) = start("repeated", "down, down, ok, bad", "retry: {}").await;
    let began = Instant::now();
    assert_eq!(read(&remote).await.unwrap(), 3);
    // Two pauses, of 200 and of 400 ms, of which up to half is taken off.
    assert!((300..=600).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let error = read(&remote).await.unwrap_err();
    assert_eq!((error.kind(), calls("repeated")), (ErrorKind::Invalid, 4));
    assert_eq!(metrics(&platform).retries, 2);
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_says_how_often_it_was_tried() {
    let (platform, remote) = start("spent", "down, down, down", "retry: {max_attempts: 3}").await;
    let error = read(&remote).await.unwrap_err();
    assert_eq!(error.to_string(), "attempt 3 of 3: connection refused");
    assert_eq!((error.kind(), calls("spent")), (ErrorKind::Unavailable, 3));
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_contract_does_not_declare_idempotent_is_called_once() {
    let (platform, remote) = start("once", "down, ok", "retry: {}").await;
    assert_eq!(remote.write(Once(7)).await.unwrap_err().to_string(), "connection refused");
    assert_eq!(calls("once"), 1);
    assert_eq!(remote.write(Once(7)).await.unwrap(), 7);
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn any_failure_is_tried_again_where_that_is_asked_for() {
    let (platform, remote) = start("any", "bad, ok, bad, ok", "retry: {on: any}").await;
    assert_eq!(read(&remote).await.unwrap(), 2);
    // Of an error that is not ours, nothing is known but that it is one.
    assert_eq!(remote.strict().await.unwrap(), 4);
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_error_of_another_type_is_an_answer() {
    let (platform, remote) =
        start("strict", "down, hang", "timeout: 1s, retry: {max_attempts: 2}, circuit_breaker: {min_calls: 1}").await;
    assert!(matches!(remote.strict().await, Err(Strict::Refused)));
    assert_eq!(metrics(&platform).circuit, Some(CircuitState::Closed));
    // What the policies find themselves counts, whatever the type; and after it the circuit is open.
    match remote.strict().await {
        Err(Strict::Unreachable(error)) => assert!(error.to_string().contains("its circuit is open"), "{error}"),
        other => panic!("{other:?}"),
    }
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_given_up_and_repeated() {
    let (platform, remote) = start("slow", "hang, ok, hang", "timeout: 2s, retry: {max_attempts: 2}").await;
    let began = Instant::now();
    assert_eq!(read(&remote).await.unwrap(), 2);
    assert_eq!(began.elapsed().as_secs(), 2);
    let error = remote.write(Once(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "plugin `remote/scripted` did not answer `remote.write` within 2s");
    assert_eq!((metrics(&platform).timeouts, metrics(&platform).retries), (2, 1));
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_the_attempts_and_the_pauses() {
    let policies = "deadline: 5s, timeout: 2s, retry: {max_attempts: 9, initial_backoff: 10ms, max_backoff: 10ms}";
    let (platform, remote) = start("deadline", "hang, hang, hang, hang", policies).await;
    let began = Instant::now();
    let error = read(&remote).await.unwrap_err();
    assert_eq!((began.elapsed().as_secs(), calls("deadline")), (5, 3));
    let said = "attempt 3 of 9: plugin `remote/scripted` did not answer `remote.read` within 5s";
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Timeout, said));
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_does_not_fit_into_the_deadline_is_not_begun() {
    let policies = "deadline: 1s, retry: {initial_backoff: 1m, max_backoff: 1m}";
    let (platform, remote) = start("pause", "down", policies).await;
    let began = Instant::now();
    assert_eq!(read(&remote).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!((began.elapsed(), calls("pause")), (Duration::ZERO, 1));
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_circuit_opens_shows_and_closes_again() {
    let breaker = "circuit_breaker: {failure_ratio: 0.5, min_calls: 2, open_for: 10s}";
    let (platform, remote) = start("circuit", "ok, down, down, down, ok", breaker).await;
    let mut changes = platform.status_changes();
    assert!(matches!(changes.next().await, Some(StatusEvent::Snapshot { .. })));
    assert!(read(&remote).await.is_ok());
    assert!(read(&remote).await.is_err());
    // Open. The plugin is not called.
    let error = read(&remote).await.unwrap_err();
    let why = "1 of 2 calls within 30s failed, the last with: connection refused";
    let said = format!("plugin `remote/scripted` was not called: its circuit is open for another 10s: {why}");
    assert_eq!((error.kind(), error.to_string(), calls("circuit")), (ErrorKind::Unavailable, said, 2));
    let PluginStatus { state, cause, .. } = status(&platform);
    assert_eq!((state, cause), (PluginState::Degraded, Some(format!("its circuit is open: {why}"))));
    assert_eq!(metrics(&platform).circuit, Some(CircuitState::Open));
    assert_eq!(metrics(&platform).rejected_by_circuit_breaker, 1);
    // One call tries, and fails.
    sleep(Duration::from_secs(10)).await;
    assert_eq!(read(&remote).await.unwrap_err().to_string(), "connection refused");
    assert!(read(&remote).await.is_err());
    assert_eq!(calls("circuit"), 3);
    // Another one succeeds: the script has one more failure, then it is well.
    sleep(Duration::from_secs(10)).await;
    assert!(read(&remote).await.is_err());
    sleep(Duration::from_secs(10)).await;
    assert!(read(&remote).await.is_ok());
    assert_eq!(status(&platform).state, PluginState::Running);
    let mut states = Vec::new();
    while let Ok(Some(StatusEvent::Changed(status))) = timeout(Duration::from_millis(1), changes.next()).await {
        states.push(status.state);
    }
    assert_eq!(states.first(), Some(&PluginState::Degraded));
    assert_eq!(states.last(), Some(&PluginState::Running));
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn wrong_input_and_cancelled_calls_do_not_open_a_circuit_and_panics_do() {
    let (platform, remote) = start("kinds", "bad, bad, hang, panic", "circuit_breaker: {min_calls: 1}").await;
    for _ in 0..2 {
        assert_eq!(read(&remote).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert!(timeout(Duration::from_secs(1), read(&remote)).await.is_err());
    assert_eq!(metrics(&platform).circuit, Some(CircuitState::Closed));
    let called = remote.clone();
    assert!(tokio::spawn(async move { read(&called).await }).await.unwrap_err().is_panic());
    // One of three.
    assert_eq!(metrics(&platform).circuit, Some(CircuitState::Closed));
    platform.shutdown().await.unwrap();

    let (platform, remote) = start("panics", "panic", "circuit_breaker: {min_calls: 1}").await;
    let called = remote.clone();
    assert!(tokio::spawn(async move { read(&called).await }).await.unwrap_err().is_panic());
    assert!(read(&remote).await.unwrap_err().to_string().ends_with("the last with: it panicked"));
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_ends_the_retries() {
    let (platform, remote) =
        start("ends", "down, down, down", "retry: {max_attempts: 9}, circuit_breaker: {min_calls: 2}").await;
    let error = read(&remote).await.unwrap_err();
    assert!(error.to_string().contains("its circuit is open"), "{error}");
    assert_eq!(calls("ends"), 2);
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_replacement_begins_with_a_closed_circuit() {
    let (platform, remote) = start("mended", "down", "circuit_breaker: {min_calls: 1, open_for: 1h}").await;
    assert!(read(&remote).await.is_err());
    assert!(read(&remote).await.unwrap_err().to_string().contains("its circuit is open"));
    platform.swap("scripted", Replacement::merge(json!({"answers": []}))).await.unwrap();
    assert_eq!(status(&platform).state, PluginState::Running);
    assert_eq!(metrics(&platform).circuit, Some(CircuitState::Closed));
    assert!(read(&remote).await.is_ok());
    // What was counted is not forgotten.
    assert_eq!(metrics(&platform).rejected_by_circuit_breaker, 1);
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_next_attempt_does_not_hold_up_a_swap() {
    let policies = "retry: {initial_backoff: 1m, max_backoff: 1m}";
    let (platform, remote) = start("meets", "down, down, down", policies).await;
    let waiting = tokio::spawn({
        let remote = remote.clone();
        async move { read(&remote).await }
    });
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let applied = platform.swap("scripted", Replacement::merge(json!({"answers": []}))).await.unwrap();
    assert_eq!((applied.cancelled_calls, began.elapsed().as_secs()), (0, 0));
    // The second attempt meets the successor.
    assert!(waiting.await.unwrap().is_ok());
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_a_place_and_a_cancelled_one_gives_it_back() {
    let (platform, remote) = start("places", "hang, '1000', ok, hang", "max_concurrency: 1, max_wait: 2s").await;
    let hanging = tokio::spawn({
        let remote = remote.clone();
        async move { read(&remote).await }
    });
    sleep(Duration::from_millis(1)).await;
    assert_eq!(metrics(&platform).in_flight, Some(1));
    let began = Instant::now();
    let error = read(&remote).await.unwrap_err();
    let said = "plugin `remote/scripted` was not called: 1 calls were under way, and none ended within 2s";
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unavailable, said));
    assert_eq!((began.elapsed().as_secs(), calls("places")), (2, 1));
    hanging.abort();
    assert!(hanging.await.unwrap_err().is_cancelled());
    assert_eq!(metrics(&platform).in_flight, Some(0));
    // One takes a second, the other one waits that long.
    let began = Instant::now();
    let (first, second) = tokio::join!(read(&remote), read(&remote));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(began.elapsed().as_secs(), 1);
    // One that gives up waiting takes nothing.
    let hanging = tokio::spawn({
        let remote = remote.clone();
        async move { read(&remote).await }
    });
    sleep(Duration::from_millis(1)).await;
    assert!(timeout(Duration::from_millis(10), read(&remote)).await.is_err());
    hanging.abort();
    let _ = hanging.await;
    assert!(read(&remote).await.is_ok());
    assert_eq!(metrics(&platform).rejected_by_concurrency, 1);
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_keep_to_a_rate() {
    let (platform, remote) = start("rate", "", "rate_limit: {calls: 10, per: 1s, burst: 2}, max_wait: 150ms").await;
    let began = Instant::now();
    let mut at = Vec::new();
    for _ in 0..4 {
        read(&remote).await.unwrap();
        at.push(began.elapsed().as_millis());
    }
    assert_eq!(at, [0, 0, 100, 200]);
    // Together: one turn comes within the time, the others do not.
    let (a, b, c) = tokio::join!(read(&remote), read(&remote), read(&remote));
    assert!(a.is_ok());
    let said =
        "plugin `remote/scripted` was not called: its rate limit is reached, and its turn does not come within 150ms";
    for refused in [b, c] {
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unavailable, said));
    }
    assert_eq!((calls("rate"), metrics(&platform).rejected_by_rate_limit), (5, 2));
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn limits_outlive_a_replacement_and_so_does_what_is_under_way() {
    let policies = "max_concurrency: 1, max_wait: 0s, rate_limit: {calls: 2, per: 1h}";
    let (platform, remote) = start("limits", "'2000'", policies).await;
    let slow = tokio::spawn({
        let remote = remote.clone();
        async move { read(&remote).await }
    });
    sleep(Duration::from_millis(1)).await;
    let swap = platform.swap("scripted", Replacement::merge(json!({"answers": []})));
    let (applied, crowded) = tokio::join!(swap, async {
        sleep(Duration::from_secs(1)).await;
        read(&remote).await
    });
    assert_eq!(applied.unwrap().swapped.len(), 1);
    assert!(crowded.unwrap_err().to_string().contains("1 calls were under way"));
    assert!(slow.await.unwrap().is_ok());
    assert!(read(&remote).await.is_ok());
    assert!(read(&remote).await.unwrap_err().to_string().contains("rate limit"));
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_covered_until_it_is_there() {
    let (platform, remote) = start("stream", "down, ok", "timeout: 1s, retry: {}, max_concurrency: 1").await;
    let mut items = remote.items().await.unwrap();
    assert_eq!((calls("stream"), metrics(&platform).in_flight), (2, Some(0)));
    sleep(Duration::from_secs(5)).await;
    let mut found = Vec::new();
    while let Some(item) = std::future::poll_fn(|cx| items.as_mut().poll_next(cx)).await {
        found.push(item.unwrap());
    }
    assert_eq!(found, [1, 2]);
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_async_is_refused_where_it_would_have_to_wait() {
    let policies =
        "max_concurrency: 1, circuit_breaker: {failure_ratio: 1, min_calls: 2}, rate_limit: {calls: 3, per: 1h}";
    let (platform, remote) = start("now", "hang, down, ok", policies).await;
    let hanging = tokio::spawn({
        let remote = remote.clone();
        async move { read(&remote).await }
    });
    sleep(Duration::from_millis(1)).await;
    let said = "plugin `remote/scripted` was not called: 1 calls were under way";
    assert_eq!(remote.peek().unwrap_err().to_string(), said);
    hanging.abort();
    let _ = hanging.await;
    assert_eq!(remote.peek().unwrap_err().to_string(), "connection refused");
    assert_eq!(remote.peek().unwrap(), 3);
    let said = "plugin `remote/scripted` was not called: its rate limit is reached";
    assert_eq!(remote.peek().unwrap_err().to_string(), said);
    platform.shutdown().await.unwrap();

    let (platform, remote) = start("now_circuit", "down", "circuit_breaker: {min_calls: 1}").await;
    assert!(remote.peek().is_err());
    assert!(remote.peek().unwrap_err().to_string().contains("its circuit is open"));
    assert_eq!(calls("now_circuit"), 1);
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn policies_are_changed_without_a_restart() {
    let answers = "down, down, hang";
    let (platform, remote) = start("adjusted", answers, "circuit_breaker: {min_calls: 1, open_for: 1h}").await;
    assert!(read(&remote).await.is_err());
    assert_eq!(status(&platform).state, PluginState::Degraded);
    // Without the circuit breaker, it is not open.
    let applied = platform.apply(&composition("adjusted", answers, "retry: {max_attempts: 2}")).await.unwrap();
    assert!(applied.is_unchanged());
    assert_eq!(applied.adjusted, ["remote/scripted"]);
    assert_eq!(status(&platform).state, PluginState::Running);
    let repeated = read(&remote);
    let applied = platform.apply(&composition("adjusted", answers, "timeout: 1s")).await.unwrap();
    assert_eq!(applied.adjusted, ["remote/scripted"]);
    // It began before, and is not repeated any more.
    assert_eq!(repeated.await.unwrap_err().to_string(), "connection refused");
    assert_eq!(read(&remote).await.unwrap_err().kind(), ErrorKind::Timeout);
    platform.apply(&composition("adjusted", answers, "")).await.unwrap();
    assert!(!Handle::slot(&remote).lease().unwrap().is_guarded());
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_did_not_change_stays_open_through_an_adjustment() {
    let breaker = "circuit_breaker: {min_calls: 1, open_for: 1h}";
    let (platform, remote) = start("kept", "down", breaker).await;
    assert!(read(&remote).await.is_err());
    platform.apply(&composition("kept", "down", &format!("{breaker}, timeout: 1s"))).await.unwrap();
    assert_eq!(metrics(&platform).circuit, Some(CircuitState::Open));
    assert_eq!(status(&platform).state, PluginState::Degraded);
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stopped_plugin_is_not_waited_for() {
    let (platform, remote) = start("stopped", "down, down", "retry: {initial_backoff: 1m, max_backoff: 1m}").await;
    let waiting = tokio::spawn({
        let remote = remote.clone();
        async move { read(&remote).await }
    });
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    platform.shutdown().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 0);
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(read(&remote).await.unwrap_err().kind(), ErrorKind::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_program_chooses_policies_too_and_a_pinned_instance_has_none() {
    let breaker = CircuitBreaker::new().failure_ratio(0.1, 1);
    let resilience = Resilience::new().retry(Retry::attempts(2)).circuit_breaker(breaker);
    let config = json!({"key": "program", "answers": ["down", "ok", "down"]});
    let composition =
        Composition::builder().plugin_with("remote", "scripted", config, |entry| entry.resilience(&resilience)).build();
    let plan = registry().resolve(&composition).unwrap();
    assert_eq!(plan.steps()[0].resilience.as_ref(), Some(&resilience));
    assert_eq!(plan.to_json()["steps"][0]["repeated"], json!(["read", "items", "strict"]));
    let platform = registry().activate(composition).await.unwrap();
    let remote = platform.get::<dyn Remote>("scripted").unwrap();
    // The first failure opens the circuit.
    assert!(read(&remote).await.unwrap_err().to_string().contains("its circuit is open"));
    let pinned = Handle::pin(&remote).unwrap();
    assert_eq!(read(&*pinned).await.unwrap(), 2);
    drop(pinned);
    platform.shutdown().await.unwrap();
}

#[test]
fn layers_are_laid_over_policies_key_by_key() {
    let text = "
plugins:
  - type: remote
    name: scripted
    resilience:
      timeout: 2s
      retry: {max_attempts: 5}
      rate_limit: {calls: 100}
profiles:
  prod:
    plugins:
      - name: scripted
        resilience: {timeout: 1s, retry: null, rate_limit: {burst: 7}}
";
    let composition = Composition::from_yaml(text).unwrap().with_profile("prod").unwrap();
    let plan = registry().resolve(&composition).unwrap();
    let resilience = plan.steps()[0].resilience.clone().unwrap();
    assert_eq!((resilience.timeout, resilience.retry), (Some(Duration::from_secs(1)), None));
    let rate_limit = resilience.rate_limit.unwrap();
    assert_eq!((rate_limit.calls, rate_limit.burst), (100, Some(7)));
    let effective = plan.effective_config();
    let shown: Vec<String> = effective.plugins[0]
        .resilience
        .iter()
        .map(|setting| format!("{} {} {}", setting.path, setting.value, setting.origin))
        .collect();
    for expected in [
        "timeout \"1s\" <yaml>:13:31 (profile prod)",
        "rate_limit.calls 100 <yaml>:8:27",
        "rate_limit.burst 7 <yaml>:13:68 (profile prod)",
        "max_wait \"5s\" default",
    ] {
        assert!(shown.iter().any(|line| line == expected), "{expected}: {shown:#?}");
    }
    assert!(effective.to_string().contains("  resilience:\n"), "{effective}");
}

#[test]
fn mistakes_in_policies_are_reported_where_they_stand() {
    let text = "
plugins:
  - type: remote
    name: scripted
    resilience:
      timeout: 0s
      retry: {max_attempts: 0}
      circuit_breaker: {failure_ratio: 50}
      rate_limit: {per: 1s}
      max_concurency: 4
";
    let error = registry().resolve(&Composition::from_yaml(text).unwrap()).unwrap_err();
    let found: Vec<(&str, Code, Option<u32>)> = error
        .diagnostics()
        .iter()
        .map(|found| (found.path.as_deref().unwrap_or_default(), found.code, found.location.as_ref().map(|at| at.line)))
        .collect();
    for expected in [
        ("plugins[0].resilience.timeout", Code::OutOfRange, Some(6)),
        ("plugins[0].resilience.retry.max_attempts", Code::OutOfRange, Some(7)),
        ("plugins[0].resilience.circuit_breaker.failure_ratio", Code::OutOfRange, Some(8)),
        ("plugins[0].resilience.rate_limit.calls", Code::MissingField, Some(9)),
        ("plugins[0].resilience.max_concurency", Code::UnknownField, Some(10)),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not among {found:?}");
    }
}

#[test]
fn a_policy_that_can_do_nothing_is_warned_of() {
    let found =
        warnings("plugins: [{type: local, name: near, resilience: {retry: {}, timeout: 1s, max_concurrency: 1}}]");
    let messages: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
    let expected = [
        "`retry` does nothing for `near`: no method of `local` is idempotent",
        "`timeout` does nothing for `near`: no method of `local` is async",
    ];
    assert_eq!(messages, expected);
    assert!(found.iter().all(|found| found.code == Code::IneffectivePolicy && found.location.is_some()));
    assert!(warnings("plugins: [{type: remote, name: scripted, resilience: {retry: {}, timeout: 1s}}]").is_empty());
}
