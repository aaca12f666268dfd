//! Operating a platform: status, readiness, events, how it starts, what it measures.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    composition::PluginEntry,
    contract,
    diagnostics::Code,
    platform::{PluginState, Replacement, StatusChanges, StatusEvent},
    plugin::{EVENTS_KEPT, Events, HealthStatus, Lagged, StatusReporter},
    prelude::*,
};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Something that says how it is.
#[contract(name = "patient", cardinality = "many")]
#[async_trait]
pub trait Patient {
    /// Reports: `degraded`, `recovered` or `failed`.
    async fn report(&self, what: &str, cause: &str) -> Result<()>;
}

/// How the plugin's `health` answers.
#[derive(PluginConfig, Clone, Copy, Default, PartialEq)]
#[config(rename_all = "snake_case")]
enum Answer {
    #[default]
    Well,
    Unhealthy,
    Hang,
}

#[derive(PluginConfig)]
struct Settings {
    #[config(default)]
    health: Answer,
    /// Reported while it starts.
    degraded: Option<String>,
    #[config(default = false)]
    fail: bool,
}

/// Reports what it is told to.
#[mlx_plugin(type = Patient)]
struct Ward {
    id: String,
    status: StatusReporter,
    events: Events,
    health: Answer,
}

#[async_trait]
impl Plugin for Ward {
    type Config = Settings;
    async fn initialize(config: Settings, cx: &InitContext) -> Result<Self> {
        if let Some(cause) = config.degraded {
            cx.status().degraded(cause);
        }
        if config.fail {
            return Err(Error::denied("not today"));
        }
        let (id, events, mut questions) =
            (cx.id().to_owned(), cx.events().clone(), cx.events().subscribe::<Question>());
        tokio::spawn(async move {
            while let Some(Ok(question)) = questions.recv().await {
                events.publish(Answered(format!("{id}: {}", question.0)));
            }
        });
        let (status, events) = (cx.status().clone(), cx.events().clone());
        Ok(Ward { id: cx.id().to_owned(), status, events, health: config.health })
    }
    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        cx.events().publish(Answered("a job".into()));
        Ok(ComponentResult::success())
    }
    async fn health(&self) -> Result<Health> {
        match self.health {
            Answer::Well => Ok(Health::healthy()),
            Answer::Unhealthy => Ok(Health::unhealthy("the database is down")),
            Answer::Hang => std::future::pending().await,
        }
    }
    async fn shutdown(&self) -> Result<()> {
        self.status.degraded("this comes too late to count");
        Ok(())
    }
}

#[async_trait]
impl Patient for Ward {
    async fn report(&self, what: &str, cause: &str) -> Result<()> {
        match what {
            "degraded" => self.status.degraded(cause),
            "failed" => self.status.failed(cause),
            "refuse" => return Err(Error::failed("refused")),
            "hang" => std::future::pending().await,
            "tell" => {
                self.events.publish(Told { by: self.id.clone(), what: cause.to_owned() });
            }
            _ => self.status.recovered(),
        }
        Ok(())
    }
}

async fn platform(yaml: &str) -> Platform {
    start(yaml).await.unwrap()
}

async fn start(yaml: &str) -> Result<Platform> {
    registry().activate(Composition::from_yaml(yaml)?).await
}

async fn changed(changes: &mut StatusChanges) -> (String, PluginState, Option<String>) {
    match changes.next().await.unwrap() {
        StatusEvent::Changed(status) => (status.label(), status.state, status.cause),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plugin_reports_itself_as_degraded_and_recovered() {
    let platform = platform("plugins: [{type: patient, name: ward}]").await;
    let ward = platform.get::<dyn Patient>("ward").unwrap();
    let mut changes = platform.status_changes();
    let StatusEvent::Snapshot { plugins, missed: 0 } = changes.next().await.unwrap() else { panic!() };
    assert_eq!((plugins.len(), plugins[0].state), (1, PluginState::Running));

    ward.report("degraded", "one of three replicas").await.unwrap();
    // Said twice, it is one change; another reason is another.
    ward.report("degraded", "one of three replicas").await.unwrap();
    let since = platform.status()[0].since;
    ward.report("degraded", "two of three replicas").await.unwrap();
    let label = "patient/ward".to_owned();
    let degraded = |cause: &str| (label.clone(), PluginState::Degraded, Some(cause.to_owned()));
    assert_eq!(changed(&mut changes).await, degraded("one of three replicas"));
    assert_eq!(changed(&mut changes).await, degraded("two of three replicas"));
    assert_eq!(platform.status()[0].since, since, "it has been degraded since the first time");

    let health = platform.health().await;
    assert_eq!(health.status, HealthStatus::Degraded);
    assert_eq!(health.plugins["patient/ward"].message, "two of three replicas");
    assert!(health.ready() && health.live());

    ward.report("recovered", "").await.unwrap();
    assert_eq!(changed(&mut changes).await, (label.clone(), PluginState::Running, None));
    assert!(platform.health().await.plugins["patient/ward"].is_healthy());

    platform.shutdown().await.unwrap();
    assert_eq!(changed(&mut changes).await.1, PluginState::Stopping);
    assert_eq!(changed(&mut changes).await, (label, PluginState::Stopped, None));
    assert_eq!(changes.next().await, None);
    assert_eq!(changes.next().await, None);
    let mut after = platform.status_changes();
    assert!(matches!(after.next().await, Some(StatusEvent::Snapshot { missed: 0, .. })));
    assert_eq!(after.next().await, None);
}

#[tokio::test]
async fn what_is_reported_during_the_start_counts_from_the_start() {
    let platform = platform("plugins: [{type: patient, name: ward, config: {degraded: no cache}}]").await;
    let status = &platform.status()[0];
    assert_eq!((status.state, status.cause.as_deref()), (PluginState::Degraded, Some("no cache")));
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn failed_is_the_last_word() {
    let platform = platform("plugins: [{type: patient, name: ward}]").await;
    let ward = platform.get::<dyn Patient>("ward").unwrap();
    ward.report("failed", "the licence ended").await.unwrap();
    ward.report("recovered", "").await.unwrap();
    assert_eq!(platform.status()[0].state, PluginState::Failed);
    let health = platform.health().await;
    assert_eq!(health.plugins["patient/ward"].message, "failed: the licence ended");
    assert_eq!((health.not_ready, health.not_live), (vec!["patient/ward".into()], vec!["patient/ward".into()]));
    platform.shutdown().await.unwrap();
    assert_eq!(platform.status()[0].state, PluginState::Stopped);
}

#[tokio::test]
async fn a_slow_watcher_is_told_what_it_missed_and_where_things_stand() {
    let platform = platform("plugins: [{type: patient, name: ward}]").await;
    let ward = platform.get::<dyn Patient>("ward").unwrap();
    let mut changes = platform.status_changes();
    changes.next().await.unwrap();
    ward.report("degraded", "0").await.unwrap();
    assert_eq!(changed(&mut changes).await.2.as_deref(), Some("0"));
    for round in 1..=1000 {
        ward.report("degraded", &round.to_string()).await.unwrap();
    }
    let StatusEvent::Snapshot { plugins, missed } = changes.next().await.unwrap() else { panic!() };
    assert_eq!((plugins[0].cause.as_deref(), missed), (Some("1000"), 1000));
    ward.report("recovered", "").await.unwrap();
    assert_eq!(changed(&mut changes).await.1, PluginState::Running);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_changes_end_with_a_platform_that_is_dropped() {
    let platform = platform("plugins: [{type: patient, name: ward}]").await;
    let mut changes = platform.status_changes();
    changes.next().await.unwrap();
    drop(platform);
    assert_eq!(changes.next().await, None);
}

#[tokio::test]
async fn readiness_and_liveness_look_at_what_the_platform_needs() {
    let platform = platform(
        "plugins:
          - {type: patient, name: ward}
          - {type: patient, name: ward, id: down, config: {health: unhealthy}}
          - {type: patient, name: ward, id: luxury, on_failure: continue, config: {fail: true}}",
    )
    .await;
    let health = platform.health().await;
    // Waiting may help, a restart will not; and without the luxury it goes on.
    assert_eq!((health.ready(), health.live()), (false, true));
    assert_eq!(health.not_ready, ["patient/down"]);
    assert_eq!(health.status, HealthStatus::Unhealthy);
    platform.shutdown().await.unwrap();
    let health = platform.health().await;
    assert_eq!((health.ready(), health.live()), (false, true), "a platform that stopped is not killed for it");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_does_not_answer_is_not_live() {
    let platform = platform("plugins: [{type: patient, name: ward, config: {health: hang}}]").await;
    let health = platform.health().await;
    assert_eq!((health.ready(), health.live()), (false, false));
    assert!(health.plugins["patient/ward"].message.contains("within 5s"), "{health:?}");
    platform.shutdown().await.unwrap();
}

/// A plugin was told something.
#[derive(Debug, PartialEq)]
struct Told {
    by: String,
    what: String,
}

/// An answer to that.
struct Answered(String);

#[tokio::test]
async fn events_reach_plugins_and_the_program() {
    let platform = platform("plugins: [{type: patient, name: ward}, {type: patient, name: ward, id: other}]").await;
    let mut told = platform.events().subscribe::<Told>();
    let mut again = platform.events().subscribe::<Told>();
    let mut answers = platform.events().subscribe::<Answered>();
    platform.get::<dyn Patient>("other").unwrap().report("tell", "hello").await.unwrap();
    let expected = Told { by: "other".into(), what: "hello".into() };
    assert_eq!(*told.recv().await.unwrap().unwrap(), expected);
    assert_eq!(*again.recv().await.unwrap().unwrap(), expected, "every subscriber gets every event");

    let cx = ExecutionContext::new();
    platform.execute("patient/ward", cx).await.unwrap();
    assert_eq!(answers.recv().await.unwrap().unwrap().0, "a job");

    // Both directions: the program publishes, plugins listen.
    assert_eq!(platform.events().publish(Question("how are you?".into())), 2);
    let mut from = [answers.recv().await, answers.recv().await].map(|answer| answer.unwrap().unwrap().0.clone());
    from.sort();
    assert_eq!(from, ["other: how are you?", "ward: how are you?"]);
    platform.shutdown().await.unwrap();
    assert!(told.recv().await.is_none() && told.recv().await.is_none());
}

/// Asked of all plugins.
struct Question(String);

#[tokio::test]
async fn subscriptions_outlive_a_swap_and_end_with_the_platform() {
    let platform = platform("plugins: [{type: patient, name: ward}]").await;
    let mut told = platform.events().subscribe::<Told>();
    let ward = platform.get::<dyn Patient>("ward").unwrap();
    ward.report("tell", "before").await.unwrap();
    ward.report("degraded", "worn out").await.unwrap();
    let mut changes = platform.status_changes();
    changes.next().await.unwrap();
    platform.swap("ward", Replacement::same()).await.unwrap();
    assert_eq!(changed(&mut changes).await, ("patient/ward".into(), PluginState::Running, None), "the new one is well");
    assert_eq!(platform.status()[0].state, PluginState::Running, "and the old one has no say, even while it stops");
    ward.report("tell", "after").await.unwrap();
    ward.report("degraded", "new, and worn out").await.unwrap();
    assert_eq!(platform.status()[0].state, PluginState::Degraded);
    assert_eq!(told.recv().await.unwrap().unwrap().what, "before");
    assert_eq!(told.recv().await.unwrap().unwrap().what, "after");
    let events = platform.events().clone();
    drop(platform);
    assert!(told.recv().await.is_none());
    assert_eq!(events.publish(Question("anybody?".into())), 0);
    assert!(events.subscribe::<Told>().recv().await.is_none());
}

#[tokio::test]
async fn a_slow_subscriber_is_told_how_much_it_lost() {
    let events = Events::new();
    let mut slow = events.subscribe::<u64>();
    assert_eq!(events.publish("nobody subscribed to texts"), 0);
    let published = EVENTS_KEPT as u64 + 7;
    for number in 0..published {
        assert_eq!(events.publish(number), 1);
    }
    assert_eq!(slow.recv().await, Some(Err(Lagged(7))));
    for number in 7..published {
        assert_eq!(*slow.recv().await.unwrap().unwrap(), number);
    }
    drop(slow);
    assert_eq!(events.publish(0_u64), 0);
}

#[tokio::test]
async fn a_plugin_that_is_added_to_a_running_platform_shows_among_the_changes() {
    let platform = platform("plugins: [{type: patient, name: ward}]").await;
    let mut changes = platform.status_changes();
    changes.next().await.unwrap();
    platform.activate(PluginEntry::of("patient", "ward", json!({})).with_id("late")).await.unwrap();
    loop {
        let (label, state, _) = changed(&mut changes).await;
        assert_eq!(label, "patient/late");
        if state == PluginState::Running {
            break;
        }
    }
    platform.deactivate("late").await.unwrap();
    loop {
        if let StatusEvent::Changed(status) = changes.next().await.unwrap()
            && status.state == PluginState::Stopped
        {
            assert_eq!(status.id, "late");
            break;
        }
    }
    platform.shutdown().await.unwrap();
}

/// What a start does, and how often it was tried.
#[derive(PluginConfig)]
struct Trying {
    /// The test's counter.
    test: String,
    /// Attempts that fail before one succeeds.
    #[config(default = 0)]
    failures: u32,
    #[config(default = false)]
    permanent: bool,
    #[config(default = Duration::ZERO)]
    takes: Duration,
    /// Blocks its thread instead.
    #[config(default = false)]
    blocks: bool,
}

/// The starts of one test.
#[derive(Clone, Copy, Default)]
struct Starts {
    tried: u32,
    under_way: u32,
    most: u32,
}

static STARTS: Mutex<BTreeMap<String, Starts>> = Mutex::new(BTreeMap::new());

fn starts(test: &str, change: impl FnOnce(&mut Starts)) -> Starts {
    let mut all = STARTS.lock().unwrap();
    let starts = all.entry(test.to_owned()).or_default();
    change(starts);
    *starts
}

/// Does not start at once.
#[mlx_plugin(type = Patient)]
struct Slowly;

#[async_trait]
impl Plugin for Slowly {
    type Config = Trying;
    async fn initialize(config: Trying, _: &InitContext) -> Result<Self> {
        let begun = |starts: &mut Starts| {
            starts.tried += 1;
            starts.under_way += 1;
            starts.most = starts.most.max(starts.under_way);
        };
        let tried = starts(&config.test, begun).tried;
        match config.blocks {
            true => std::thread::sleep(config.takes),
            false => tokio::time::sleep(config.takes).await,
        }
        starts(&config.test, |starts| starts.under_way -= 1);
        match (tried <= config.failures, config.permanent) {
            (true, false) => Err(Error::unavailable(format!("no connection yet ({tried})"))),
            (true, true) => Err(Error::denied("wrong password")),
            (false, _) => Ok(Slowly),
        }
    }
}

#[async_trait]
impl Patient for Slowly {
    async fn report(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
}

fn tried(test: &str) -> u32 {
    starts(test, |_| {}).tried
}

fn slowly(test: &str, rest: &str, config: &str) -> String {
    format!("{{type: patient, name: slowly, {rest} config: {{test: {test}, {config}}}}}")
}

#[tokio::test(start_paused = true)]
async fn a_start_is_tried_again_when_the_failure_may_pass() {
    let entry = slowly("retried", "retry: {max_attempts: 4, initial_backoff: 100ms, max_backoff: 1s},", "failures: 3");
    let began = tokio::time::Instant::now();
    let platform = platform(&format!("plugins: [{entry}]")).await;
    // Half of 100, 200 and 400 ms at least, and all of it at most.
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(350) && waited <= Duration::from_millis(750), "{waited:?}");
    assert_eq!(tried("retried"), 4);
    platform.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_tells_of_the_attempts_before() {
    let entry = slowly("in-vain", "retry: {max_attempts: 3},", "failures: 9");
    let error = start(&format!("plugins: [{entry}]")).await.unwrap_err();
    assert_eq!((error.kind(), tried("in-vain")), (ErrorKind::Unavailable, 3));
    let diagnostic = &error.diagnostics()[0];
    assert_eq!((diagnostic.code, diagnostic.message.contains("(3)")), (Code::StartFailed, true), "{error:?}");
    let notes: Vec<&str> = diagnostic.related.iter().map(|related| related.message.as_str()).collect();
    assert_eq!(notes.len(), 2);
    assert!(notes[0].starts_with("attempt 1 of 3: ") && notes[0].ends_with("no connection yet (1)"), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_is_not_tried_again() {
    let entry = slowly("permanent", "retry: {max_attempts: 5},", "failures: 9, permanent: true");
    let error = start(&format!("plugins: [{entry}]")).await.unwrap_err();
    assert_eq!((error.kind(), tried("permanent")), (ErrorKind::Denied, 1));
    let entry = slowly("once", "", "failures: 9");
    start(&format!("plugins: [{entry}]")).await.unwrap_err();
    assert_eq!(tried("once"), 1, "without `retry`, once");
}

#[tokio::test(start_paused = true)]
async fn all_attempts_share_one_deadline() {
    let retry = "start_timeout: 1s, retry: {max_attempts: 100, initial_backoff: 400ms, max_backoff: 400ms},";
    let began = tokio::time::Instant::now();
    let entry = slowly("deadline", retry, "failures: 99");
    let error = start(&format!("plugins: [{entry}]")).await.unwrap_err();
    assert!(began.elapsed() <= Duration::from_secs(1));
    let attempts = tried("deadline");
    assert!((3..=5).contains(&attempts), "{attempts}");
    let last = &error.diagnostics()[0].related.last().unwrap().message;
    assert_eq!(*last, format!("attempt {attempts} of 100 was the last within its `start_timeout`"));
}

#[tokio::test(start_paused = true)]
async fn the_platform_has_a_deadline_of_its_own_and_names_who_was_late() {
    let quick = slowly("quick", "id: early,", "takes: 10ms");
    let late = slowly("late", "id: late,", "takes: 20s");
    let queued = slowly("queued", "id: queued,", "takes: 1s");
    let text = format!("start_timeout: 5s\nmax_concurrent_starts: 1\nplugins: [{quick}, {late}, {queued}]");
    let began = tokio::time::Instant::now();
    let error = start(&text).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let [diagnostic] = error.diagnostics() else { panic!("{error:?}") };
    assert_eq!(diagnostic.code, Code::DeadlineExceeded);
    assert_eq!(
        diagnostic.message,
        "the platform did not start within 5s; still starting: `late`; waiting for others: `queued`"
    );
    assert_eq!((tried("late"), tried("queued")), (1, 0));
}

#[tokio::test]
async fn a_start_that_blocks_its_thread_does_not_outlast_the_platforms_deadline() {
    let blocks = slowly("blocks", "", "takes: 3s, blocks: true");
    let began = std::time::Instant::now();
    let error = start(&format!("start_timeout: 200ms\nplugins: [{blocks}]")).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(error.to_string().contains("still starting: `slowly`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn no_more_start_at_once_than_the_composition_allows() {
    let plugins: Vec<String> =
        (0..6).map(|number| slowly("many", &format!("id: p{number},"), "takes: 100ms")).collect();
    let text = format!("max_concurrent_starts: 2\nplugins: [{}]", plugins.join(", "));
    let platform = platform(&text).await;
    let Starts { tried, most, .. } = starts("many", |_| {});
    assert_eq!((tried, most), (6, 2));
    platform.shutdown().await.unwrap();
}

#[test]
fn wrong_options_of_the_start_are_reported_where_they_stand() {
    let text = "
start_timeout: soon
max_concurrent_starts: 0
measure: maybe
plugins:
  - type: patient
    name: ward
    retry: {max_attempts: 0, initial_backoff: 1, maxbackoff: 5s}
";
    let error = registry().resolve(&Composition::from_yaml(text).unwrap()).unwrap_err();
    let found: Vec<(&str, Code)> =
        error.diagnostics().iter().map(|found| (found.path.as_deref().unwrap_or_default(), found.code)).collect();
    for expected in [
        ("start_timeout", Code::WrongType),
        ("max_concurrent_starts", Code::OutOfRange),
        ("measure", Code::WrongType),
        ("plugins[0].retry.max_attempts", Code::OutOfRange),
        ("plugins[0].retry.initial_backoff", Code::WrongType),
        ("plugins[0].retry.maxbackoff", Code::UnknownField),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not among {found:?}");
    }
    assert!(error.diagnostics().iter().all(|found| found.location.is_some()), "{error:?}");
}

#[tokio::test]
async fn calls_are_measured_where_the_composition_says_so() {
    let platform = platform(
        "measure: true
plugins:
  - {type: patient, name: ward}
  - {type: patient, name: ward, id: quiet, measure: false}",
    )
    .await;
    for id in ["ward", "quiet"] {
        let ward = platform.get::<dyn Patient>(id).unwrap();
        ward.report("recovered", "").await.unwrap();
        ward.report("refuse", "").await.unwrap_err();
        // Given up by its caller.
        let hang = tokio::time::timeout(Duration::from_millis(10), ward.report("hang", ""));
        hang.await.unwrap_err();
        platform.execute(&format!("patient/{id}"), ExecutionContext::new()).await.unwrap();
    }
    let metrics = platform.metrics();
    let calls = metrics.get("patient/ward", "patient.report").unwrap();
    assert_eq!((calls.completed, calls.errors, calls.cancelled), (2, 1, 1));
    assert!(calls.p50 <= calls.p99 && calls.p99 <= calls.max && calls.max <= calls.total);
    assert_eq!(metrics.get("patient/quiet", "patient.report"), None);
    for id in ["ward", "quiet"] {
        for operation in ["initialize", "execute"] {
            let metrics = metrics.get(&format!("patient/{id}"), operation).unwrap();
            assert_eq!((metrics.completed, metrics.errors), (1, 0), "{id} {operation}");
        }
    }

    // Counts go on over a swap.
    platform.swap("ward", Replacement::same()).await.unwrap();
    platform.get::<dyn Patient>("ward").unwrap().report("recovered", "").await.unwrap();
    let metrics = platform.metrics();
    let count = |operation: &str| metrics.get("patient/ward", operation).map(|metrics| metrics.completed);
    assert_eq!((count("patient.report"), count("initialize"), count("shutdown")), (Some(3), Some(2), Some(1)));
    assert!(metrics.to_string().contains("patient/ward patient.report: 3 completed, 1 errors, 1 cancelled, p50 "));
    platform.shutdown().await.unwrap();
    assert_eq!(platform.metrics().get("patient/ward", "shutdown").unwrap().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn failed_attempts_are_counted_as_errors() {
    let entry = slowly("counted", "on_failure: continue, retry: {max_attempts: 2},", "failures: 9");
    let platform = platform(&format!("plugins: [{entry}]")).await;
    let metrics = platform.metrics();
    let starts = metrics.get("patient/slowly", "initialize").unwrap();
    assert_eq!((starts.completed, starts.errors), (2, 2));
    platform.shutdown().await.unwrap();
}

/// Keeps what it is given, and refuses the first time.
#[mlx_plugin(type = "monitoring")]
struct Ledger {
    totals: Mutex<BTreeMap<String, f64>>,
    refused: AtomicBool,
}

#[async_trait]
impl Plugin for Ledger {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Ledger { totals: Mutex::default(), refused: AtomicBool::new(false) })
    }
}

#[async_trait]
impl Monitoring for Ledger {
    async fn record(&self, measurements: Vec<Measurement>) -> Result<()> {
        if !self.refused.swap(true, Ordering::SeqCst) {
            return Err(Error::unavailable("not now"));
        }
        let mut totals = self.totals.lock().unwrap();
        for measurement in measurements {
            let labels: Vec<String> = measurement.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let total = totals.entry(format!("{} {}", measurement.name, labels.join(" "))).or_default();
            match measurement.kind {
                MeasurementKind::Counter => *total += measurement.value,
                _ => *total = measurement.value,
            }
        }
        Ok(())
    }
    async fn export(&self) -> Result<String> {
        let totals = self.totals.lock().unwrap();
        Ok(totals.iter().map(|(name, value)| format!("{name} {value}\n")).collect())
    }
}

#[tokio::test]
async fn metrics_go_to_a_monitoring_plugin_each_count_once() {
    let platform = platform(
        "measure: true
plugins: [{type: patient, name: ward}, {type: monitoring, name: ledger, measure: false}]",
    )
    .await;
    let ledger = platform.get::<dyn Monitoring>("ledger").unwrap();
    let ward = platform.get::<dyn Patient>("ward").unwrap();
    let mut exporter = platform.metrics_exporter(ledger.clone());
    ward.report("recovered", "").await.unwrap();
    assert_eq!(exporter.export().await.unwrap_err().kind(), ErrorKind::Unavailable);
    ward.report("recovered", "").await.unwrap();
    ward.report("refuse", "").await.unwrap_err();
    exporter.export().await.unwrap();
    ward.report("recovered", "").await.unwrap();
    exporter.export().await.unwrap();
    exporter.export().await.unwrap();
    let text = ledger.export().await.unwrap();
    for expected in [
        "mlx_operations_total operation=patient.report outcome=ok plugin=patient/ward 3\n",
        "mlx_operations_total operation=patient.report outcome=error plugin=patient/ward 1\n",
        "mlx_operations_total operation=initialize outcome=ok plugin=monitoring/ledger 1\n",
        "mlx_operation_seconds operation=patient.report plugin=patient/ward quantile=0.99 ",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    platform.shutdown().await.unwrap();
    drop(platform);
    assert_eq!(exporter.export().await.unwrap_err().kind(), ErrorKind::Stopped);
}

#[tokio::test(start_paused = true)]
async fn an_exporter_runs_until_the_platform_stops() {
    let platform = platform("plugins: [{type: monitoring, name: ledger}]").await;
    let ledger = platform.get::<dyn Monitoring>("ledger").unwrap();
    let failures = std::sync::Arc::new(Mutex::new(Vec::new()));
    let note = failures.clone();
    let exporter = platform.metrics_exporter(ledger.clone());
    let running =
        tokio::spawn(exporter.run(Duration::from_secs(15), move |error| note.lock().unwrap().push(error.kind())));
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(ledger.export().await.unwrap().contains("operation=initialize"));
    assert_eq!(*failures.lock().unwrap(), [ErrorKind::Unavailable], "the first was refused, the second taken");
    platform.shutdown().await.unwrap();
    running.await.unwrap();
}
