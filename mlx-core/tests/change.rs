//! Changing a running platform: what is touched and what is not, in which order, and what a failure at each point
//! leaves behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    composition::{OnFailure, PluginEntry},
    contract,
    diagnostics::Code,
    platform::{Applied, PluginState, Replacement, Why},
    plugin::Handover,
    prelude::*,
    registry::{Registration, Registry},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};
use tokio::time::{sleep, timeout};

/// Something that can be called.
#[contract(name = "echo", cardinality = "many", capabilities = ["polite"])]
#[async_trait]
pub trait Echo {
    /// The plugin's id and size, after a while.
    async fn call(&self, wait: Duration) -> Result<String>;
    /// What the plugin's peer answers.
    async fn ask(&self) -> Result<String>;
}

/// How a step of the life cycle goes.
#[derive(PluginConfig, Clone, Copy, Default, PartialEq)]
#[config(rename_all = "snake_case")]
enum Behaviour {
    #[default]
    Well,
    Fail,
    Panic,
    Hang,
    /// Fails as long as the switch of the plugin is on.
    Switch,
    Degraded,
}

#[derive(PluginConfig)]
struct Settings {
    /// The test's log.
    log: String,
    #[config(default)]
    start: Behaviour,
    #[config(default)]
    health: Behaviour,
    #[config(default)]
    stop: Behaviour,
    #[config(default)]
    hand_over: Behaviour,
    #[config(default = Duration::ZERO)]
    takes: Duration,
    #[config(default = 1)]
    size: u32,
    token: Option<Secret<String>>,
    /// The peer to call at the start and when asked.
    peer: Option<String>,
}

static LOGS: LazyLock<Mutex<HashMap<String, Vec<String>>>> = LazyLock::new(Mutex::default);
static SWITCHES: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

fn log(test: &str, line: String) {
    LOGS.lock().unwrap().entry(test.to_owned()).or_default().push(line);
}

/// What was logged since the last time.
fn logged(test: &str) -> Vec<String> {
    LOGS.lock().unwrap().remove(test).unwrap_or_default()
}

struct Worker {
    id: String,
    settings: Settings,
    peer: Option<mlx_core::Handle<dyn Echo>>,
    stopped: AtomicBool,
    /// What the one before handed over, counted up.
    generation: Generation,
}

/// Exists once and goes from one instance to the next.
#[derive(Clone)]
struct Generation(Arc<AtomicU64>);

impl Worker {
    async fn act(behaviour: Behaviour, id: &str, settings: &Settings, doing: &str) -> Result<()> {
        match behaviour {
            Behaviour::Fail => Err(Error::unavailable(format!("no {doing} today"))),
            Behaviour::Panic => panic!("{doing} panicked"),
            Behaviour::Hang => std::future::pending().await,
            Behaviour::Switch if SWITCHES.lock().unwrap().contains(&format!("{}:{id}", settings.log)) => {
                Err(Error::failed(format!("the switch is on at {doing}")))
            }
            Behaviour::Well | Behaviour::Switch | Behaviour::Degraded => Ok(()),
        }
    }

    async fn start(settings: Settings, cx: &InitContext) -> Result<Self> {
        sleep(settings.takes).await;
        Worker::act(settings.start, cx.id(), &settings, "start").await?;
        let mut line = format!("start {}:{}", cx.id(), settings.size);
        let peer = settings.peer.as_ref().map(|peer| cx.get::<dyn Echo>(peer)).transpose()?;
        if let Some(peer) = &peer {
            line.push_str(&format!(" finds {}", peer.call(Duration::ZERO).await?));
        }
        if let Some(token) = &settings.token {
            line.push_str(&format!(" with {}", token.expose()));
        }
        let generation = cx.handed_over::<Generation>().unwrap_or_else(|| Generation(Arc::default()));
        generation.0.fetch_add(1, Ordering::SeqCst);
        log(&settings.log, line);
        Ok(Worker { id: cx.id().to_owned(), settings, peer, stopped: AtomicBool::new(false), generation })
    }

    async fn call(&self, wait: Duration) -> Result<String> {
        assert!(!self.stopped.load(Ordering::SeqCst), "`{}` was called after its stop", self.id);
        if !wait.is_zero() {
            sleep(wait).await;
        }
        assert!(!self.stopped.load(Ordering::SeqCst), "`{}` was stopped during a call", self.id);
        Ok(format!("{}:{}", self.id, self.settings.size))
    }

    async fn stop(&self) -> Result<()> {
        self.stopped.store(true, Ordering::SeqCst);
        log(&self.settings.log, format!("stop {}:{}", self.id, self.settings.size));
        Worker::act(self.settings.stop, &self.id, &self.settings, "stop").await
    }
}

macro_rules! worker {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        pub(crate) struct $name(Worker);

        #[async_trait]
        impl Plugin for $name {
            type Config = Settings;
            async fn initialize(config: Settings, cx: &InitContext) -> Result<Self> {
                Worker::start(config, cx).await.map($name)
            }
            async fn health(&self) -> Result<Health> {
                let Worker { id, settings, .. } = &self.0;
                Worker::act(settings.health, id, settings, "health").await?;
                match settings.health {
                    Behaviour::Degraded => Ok(Health::degraded("limping")),
                    _ => Ok(Health::healthy().detail("generation", self.0.generation.0.load(Ordering::SeqCst))),
                }
            }
            async fn shutdown(&self) -> Result<()> {
                self.0.stop().await
            }
            async fn hand_over(&self) -> Result<Handover> {
                let Worker { id, settings, .. } = &self.0;
                Worker::act(settings.hand_over, id, settings, "hand over").await?;
                Ok(Handover::new().with(self.0.generation.clone()))
            }
        }

        #[async_trait]
        impl Echo for $name {
            async fn call(&self, wait: Duration) -> Result<String> {
                self.0.call(wait).await
            }
            async fn ask(&self) -> Result<String> {
                self.0.peer.as_ref().context("no peer")?.call(Duration::ZERO).await
            }
        }
    };
}

worker!(
    #[mlx_plugin(type = Echo)]
    Leaf
);
worker!(
    #[mlx_plugin(type = Echo, capabilities = ["polite"])]
    Other
);
worker!(
    #[mlx_plugin(type = Echo, requires = ["leaf"])]
    Middle
);
worker!(
    #[mlx_plugin(type = Echo, requires = ["middle"])]
    Top
);
worker!(
    #[mlx_plugin(type = Echo, requires = ["top"])]
    Newest
);
worker!(
    #[mlx_plugin(type = Echo, optional = ["type:echo"])]
    Curious
);
worker!(
    #[mlx_plugin(type = Echo, swap = "handover")]
    Baton
);
worker!(
    #[mlx_plugin(type = Echo, swap = "restart")]
    Single
);
worker!(
    #[mlx_plugin(type = Echo, requires = ["single"])]
    OverSingle
);

/// Resolves `${vault:KEY}` to its suffix.
#[mlx_plugin(type = "security", name = "vault")]
struct Vault(VaultSettings);

#[derive(PluginConfig)]
struct VaultSettings {
    suffix: String,
}

#[async_trait]
impl Plugin for Vault {
    type Config = VaultSettings;
    async fn initialize(config: VaultSettings, _: &InitContext) -> Result<Self> {
        Ok(Vault(config))
    }
}

#[async_trait]
impl Security for Vault {
    async fn authenticate(&self, _: Credential) -> Result<Principal> {
        Err(Error::denied("nobody"))
    }
    async fn authorize(&self, _: Principal, _: &str, _: &str) -> Result<bool> {
        Ok(false)
    }
    async fn secret(&self, key: &str) -> Result<Secret<String>> {
        Ok(Secret::new(format!("{key}-{}", self.0.suffix)))
    }
}

/// Has no settings.
#[mlx_plugin(type = "security", name = "safe")]
struct Safe;

#[async_trait]
impl Plugin for Safe {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Safe)
    }
}

#[async_trait]
impl Security for Safe {
    async fn authenticate(&self, _: Credential) -> Result<Principal> {
        Err(Error::denied("nobody"))
    }
    async fn authorize(&self, _: Principal, _: &str, _: &str) -> Result<bool> {
        Ok(false)
    }
}

fn plugins() -> Registry {
    static PLUGINS: [Registration; 11] = [
        Registration::new::<Leaf>(),
        Registration::new::<Other>(),
        Registration::new::<Middle>(),
        Registration::new::<Top>(),
        Registration::new::<Newest>(),
        Registration::new::<Curious>(),
        Registration::new::<Baton>(),
        Registration::new::<Single>(),
        Registration::new::<OverSingle>(),
        Registration::new::<Vault>(),
        Registration::new::<Safe>(),
    ];
    Registry::from_registrations(&PLUGINS)
}

/// A composition of plugins of the type `echo`, by id, name and settings, that log to `test`.
fn echoes(test: &str, plugins: &[(&str, &str, JsonValue)]) -> Composition {
    let mut builder = Composition::builder();
    for (id, name, settings) in plugins {
        let entry = entry(test, id, name, settings.clone());
        builder = builder.plugin_with("echo", name, json!({}), |_| entry);
    }
    builder.build()
}

fn entry(test: &str, id: &str, name: &str, mut settings: JsonValue) -> PluginEntry {
    settings["log"] = test.into();
    PluginEntry::of("echo", name, settings).with_id(id).timeouts(Duration::from_secs(20), Duration::from_secs(20))
}

async fn start(composition: &Composition) -> Platform {
    plugins().activate(composition.clone()).await.unwrap()
}

async fn ask(platform: &Platform, id: &str) -> String {
    platform.get::<dyn Echo>(id).unwrap().call(Duration::ZERO).await.unwrap()
}

fn codes(error: &Error) -> Vec<Code> {
    error.diagnostics().iter().map(|diagnostic| diagnostic.code).collect()
}

/// The lists of a change that say what was done.
fn done(applied: &Applied) -> BTreeMap<&'static str, Vec<&str>> {
    let lists = [
        ("started", &applied.started),
        ("swapped", &applied.swapped),
        ("restarted", &applied.restarted),
        ("stopped", &applied.stopped),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    lists.map(|(name, list)| (name, list.iter().map(String::as_str).collect())).collect()
}

/// A chain of three and one beside it.
fn chain(test: &str, leaf: JsonValue, middle: JsonValue, top: JsonValue) -> Composition {
    echoes(
        test,
        &[("leaf", "leaf", leaf), ("middle", "middle", middle), ("top", "top", top), ("other", "other", json!({}))],
    )
}

#[tokio::test]
async fn nothing_is_touched_when_nothing_changed() {
    let composition = chain("same", json!({}), json!({}), json!({}));
    let platform = start(&composition).await;
    logged("same");
    let applied = platform.apply(&composition).await.unwrap();
    assert!(applied.is_unchanged());
    assert_eq!(applied.unchanged, ["echo/leaf", "echo/middle", "echo/other", "echo/top"]);
    // A default that is written out is read as before.
    let applied = platform.apply(&chain("same", json!({"size": 1}), json!({}), json!({}))).await.unwrap();
    assert!(applied.is_unchanged(), "{applied}");
    assert!(logged("same").is_empty());
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn one_of_fifty_is_touched_and_handles_follow() {
    let of = |size: u32| {
        let ids: Vec<String> = (0..50).map(|n| format!("p{n:02}")).collect();
        let settings = |n: usize| json!({"size": if n == 17 { size } else { 1 }});
        let plugins: Vec<(&str, &str, JsonValue)> = ids
            .iter()
            .enumerate()
            .map(|(n, id)| {
                (
                    id.as_str(),
                    if n == 0 {
                        "leaf"
                    } else if n % 2 == 0 {
                        "middle"
                    } else {
                        "other"
                    },
                    settings(n),
                )
            })
            .collect();
        echoes("fifty", &plugins)
    };
    let platform = start(&of(1)).await;
    let handle = platform.get::<dyn Echo>("p17").unwrap();
    logged("fifty");
    let applied = platform.apply(&of(2)).await.unwrap();
    assert_eq!(done(&applied), [("swapped", vec!["echo/p17"])].into());
    assert_eq!(applied.why, [("echo/p17".to_owned(), Why::Settings)].into());
    assert_eq!(applied.unchanged.len(), 49);
    assert_eq!(logged("fifty"), ["start p17:2", "stop p17:1"]);
    assert_eq!(handle.call(Duration::ZERO).await.unwrap(), "p17:2");
    assert_eq!(platform.plan().steps().len(), 50);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn dependents_hold_on_to_a_replaced_peer_and_are_not_touched() {
    let of = |size: u32| chain("follow", json!({"size": size}), json!({"peer": "leaf"}), json!({}));
    let platform = start(&of(1)).await;
    let middle = platform.get::<dyn Echo>("middle").unwrap();
    assert_eq!(middle.ask().await.unwrap(), "leaf:1");
    logged("follow");
    platform.apply(&of(2)).await.unwrap();
    assert_eq!(logged("follow"), ["start leaf:2", "stop leaf:1"]);
    assert_eq!(middle.ask().await.unwrap(), "leaf:2");
    // Still in the reverse order of the requirements.
    platform.shutdown().await.unwrap();
    let mut lines = logged("follow");
    lines.retain(|line| line != "stop other:1");
    assert_eq!(lines, ["stop top:1", "stop middle:1", "stop leaf:2"]);
}

#[tokio::test]
async fn new_instances_find_each_other_before_they_are_published_and_after() {
    let of = |size: u32| {
        let size = |peer: Option<&str>| json!({"size": size, "peer": peer});
        chain("staged", size(None), size(Some("leaf")), size(Some("middle")))
    };
    let platform = start(&of(1)).await;
    let (middle, top) = (platform.get::<dyn Echo>("middle").unwrap(), platform.get::<dyn Echo>("top").unwrap());
    logged("staged");
    let applied = platform.apply(&of(2)).await.unwrap();
    assert_eq!(done(&applied), [("swapped", vec!["echo/leaf", "echo/middle", "echo/top"])].into());
    let lines = logged("staged");
    assert_eq!(lines[..3], ["start leaf:2", "start middle:2 finds leaf:2", "start top:2 finds middle:2"]);
    assert_eq!(lines[3..], ["stop top:1", "stop middle:1", "stop leaf:1"]);
    assert_eq!(top.ask().await.unwrap(), "middle:2");
    // The handles that were taken during the change follow the next one.
    platform.swap("leaf", Replacement::merge(json!({"size": 3}))).await.unwrap();
    assert_eq!(middle.ask().await.unwrap(), "leaf:3");
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn plugins_come_and_go() {
    let platform = start(&echoes("come", &[("leaf", "leaf", json!({}))])).await;
    let leaf = platform.get::<dyn Echo>("leaf").unwrap();
    logged("come");
    let more = chain("come", json!({}), json!({"peer": "leaf"}), json!({}));
    let applied = platform.apply(&more).await.unwrap();
    assert_eq!(applied.why.values().copied().collect::<HashSet<_>>(), [Why::Added].into());
    assert_eq!(applied.unchanged, ["echo/leaf"]);
    assert_eq!(ask(&platform, "top").await, "top:1");
    logged("come");
    let applied = platform.apply(&echoes("come", &[("other", "other", json!({}))])).await.unwrap();
    assert_eq!(applied.stopped, ["echo/top", "echo/middle", "echo/leaf"]);
    assert_eq!(logged("come"), ["stop top:1", "stop middle:1", "stop leaf:1"]);
    assert_eq!(leaf.call(Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(platform.get::<dyn Echo>("leaf").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(platform.status().len(), 1);
    platform.shutdown().await.unwrap();
    assert_eq!(logged("come"), ["stop other:1"]);
}

#[tokio::test]
async fn who_can_find_others_than_before_is_touched() {
    let curious = ("curious", "curious", json!({}));
    let one = echoes("peers", &[("leaf", "leaf", json!({})), curious.clone()]);
    let two = echoes("peers", &[("leaf", "leaf", json!({})), ("other", "other", json!({})), curious]);
    let platform = start(&one).await;
    let applied = platform.apply(&two).await.unwrap();
    assert_eq!(applied.why["echo/curious"], Why::Peers);
    assert_eq!(done(&applied), [("started", vec!["echo/other"]), ("swapped", vec!["echo/curious"])].into());
    // Other settings of a peer change nothing for it.
    let applied = platform.swap("other", Replacement::merge(json!({"size": 2}))).await.unwrap();
    assert_eq!(done(&applied), [("swapped", vec!["echo/other"])].into());
    // Another default does.
    let mut default = Composition::builder();
    for entry in platform.plan().composition().plugins() {
        let mut entry = entry.clone();
        entry.default = entry.id() == "other";
        default = default.plugin_with("echo", "", json!({}), |_| entry);
    }
    let applied = platform.apply(&default.build()).await.unwrap();
    assert_eq!(applied.why, [("echo/curious".to_owned(), Why::Peers)].into());
    assert_eq!(applied.adjusted, ["echo/other"]);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn secrets_of_a_replaced_resolver_are_fetched_again() {
    let of = |suffix: &str| {
        Composition::builder()
            .plugin("security", "vault", json!({"suffix": suffix}))
            .plugin("echo", "leaf", json!({"log": "secrets", "token": "${vault:key}"}))
            .plugin("echo", "other", json!({"log": "secrets"}))
            .build()
    };
    let platform = start(&of("a")).await;
    assert!(logged("secrets").contains(&"start leaf:1 with key-a".to_owned()));
    let applied = platform.apply(&of("b")).await.unwrap();
    let why = [("echo/leaf".to_owned(), Why::Secrets), ("security/vault".to_owned(), Why::Settings)];
    assert_eq!(applied.why, why.into());
    assert_eq!(logged("secrets"), ["start leaf:1 with key-b", "stop leaf:1"]);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn references_are_read_again_when_asked() {
    #[derive(Clone, Default)]
    struct Rotating(Arc<Mutex<String>>);
    impl mlx_core::value::Variables for Rotating {
        fn env(&self, _: &str) -> Option<String> {
            Some(self.0.lock().unwrap().clone())
        }
        fn file(&self, _: &std::path::Path) -> std::io::Result<String> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }
    let variables = Rotating::default();
    *variables.0.lock().unwrap() = "1".to_owned();
    let composition = echoes(
        "reread",
        &[
            ("plain", "leaf", json!({})),
            ("size", "leaf", json!({"size": "${env:SIZE}"})),
            ("secret", "leaf", json!({"token": "${env:TOKEN}"})),
        ],
    )
    .with_variables(variables.clone());
    let platform = start(&composition).await;
    // What is secret cannot be compared, so it is replaced on suspicion.
    let applied = platform.apply_anew(&composition).await.unwrap();
    assert_eq!(applied.swapped, ["echo/secret"]);
    *variables.0.lock().unwrap() = "7".to_owned();
    assert!(platform.apply(&composition).await.unwrap().is_unchanged());
    let applied = platform.apply_anew(&composition).await.unwrap();
    assert_eq!(applied.why.keys().collect::<Vec<_>>(), ["echo/secret", "echo/size"]);
    assert_eq!(ask(&platform, "size").await, "size:7");
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_composition_with_mistakes_changes_nothing_and_all_are_reported() {
    let composition = chain("mistakes", json!({}), json!({}), json!({}));
    let platform = start(&composition).await;
    logged("mistakes");
    let broken = Composition::from_yaml(
        "plugins: [{type: echo, name: leef}, {type: echo, name: other, config: {log: mistakes, sise: 1, size: x}}, {type: echo, name: top, config: {log: x}}]",
    )
    .unwrap();
    let error = platform.apply(&broken).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        codes(&error),
        [Code::UnknownPlugin, Code::UnknownField, Code::WrongType, Code::MissingRequirement],
        "{error:?}"
    );
    assert!(logged("mistakes").is_empty());
    assert_eq!(ask(&platform, "top").await, "top:1");
    assert!(platform.apply(&composition).await.unwrap().is_unchanged());
    platform.shutdown().await.unwrap();
}

/// Calls every plugin of the chain as fast as it can until it is told to end; every call has to succeed.
struct Callers {
    stop: Arc<AtomicBool>,
    /// So far, in round numbers.
    calls: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<usize>>,
}

impl Callers {
    fn of(platform: &Platform, ids: &[&str], each: usize) -> Self {
        let (stop, all) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for id in ids {
            for _ in 0..each {
                let (handle, stop, all) = (platform.get::<dyn Echo>(id).unwrap(), stop.clone(), all.clone());
                tasks.push(tokio::spawn(async move {
                    let mut calls = 0;
                    while !stop.load(Ordering::Relaxed) {
                        handle.call(Duration::ZERO).await.unwrap();
                        calls += 1;
                        if calls % 64 == 0 {
                            all.fetch_add(64, Ordering::Relaxed);
                            tokio::task::yield_now().await;
                        }
                    }
                    calls
                }));
            }
        }
        Callers { stop, calls: all, tasks }
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut calls = 0;
        for task in self.tasks {
            calls += task.await.unwrap();
        }
        calls
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_at_any_point_leaves_what_runs_serving() {
    // Everything is to change, and `at` fails in the way of `how`.
    let positions = ["leaf", "middle", "top", "new"];
    let ways: [(&str, JsonValue, Code); 7] = [
        ("start", json!({"start": "fail"}), Code::StartFailed),
        ("panic", json!({"start": "panic"}), Code::Panicked),
        ("hang", json!({"start": "hang"}), Code::DeadlineExceeded),
        ("health", json!({"health": "fail"}), Code::Unhealthy),
        ("health panics", json!({"health": "panic"}), Code::Panicked),
        ("undo fails too", json!({"start": "fail"}), Code::StartFailed),
        ("peer", json!({"peer": "nobody"}), Code::StartFailed),
    ];
    for (way, how, code) in ways {
        for at in positions {
            let test = format!("failure {way} {at}");
            let old = chain(&test, json!({}), json!({}), json!({}));
            let platform = start(&old).await;
            let callers = Callers::of(&platform, &["leaf", "middle", "top", "other"], 1);
            logged(&test);
            let mut new = Composition::builder();
            for (id, name) in [("leaf", "leaf"), ("middle", "middle"), ("top", "top"), ("new", "newest")] {
                let mut settings = json!({"size": 2});
                if way == "undo fails too" {
                    settings["stop"] = "fail".into();
                }
                if id == at {
                    settings.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
                }
                let mut entry = entry(&test, id, name, settings);
                if way == "hang" && id == at {
                    entry = entry.timeouts(Duration::from_millis(200), Duration::from_secs(20));
                }
                new = new.plugin_with("echo", name, json!({}), |_| entry);
            }
            let error = platform.apply(&new.build()).await.unwrap_err();
            let found = codes(&error);
            assert_eq!(found[0], code, "{test}: {error:?}");
            assert!(error.to_string().contains("was not changed"), "{error}");
            let lines = logged(&test);
            let mut started: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("start ")).collect();
            let stopped: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("stop ")).collect();
            started.reverse();
            if way.starts_with("health") {
                // What was not healthy is stopped on the spot.
                started.sort_unstable();
                let mut stopped = stopped.clone();
                stopped.sort_unstable();
                assert_eq!(stopped, started, "{test}");
            } else {
                assert_eq!(stopped, started, "{test}: everything that was new, in the reverse order");
            }
            if way == "undo fails too" {
                assert_eq!(found.len(), 1 + started.len(), "{error:?}");
            }
            // Nobody noticed, and the next change is as good as any.
            assert!(callers.end().await > 0);
            assert!(platform.status().iter().all(|status| status.state == PluginState::Running));
            assert!(platform.apply(&old).await.unwrap().is_unchanged());
            for id in ["leaf", "middle", "top", "other"] {
                assert_eq!(ask(&platform, id).await, format!("{id}:1"));
            }
            platform.shutdown().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_plugin_is_replaced_by_other_settings_another_plugin_or_itself() {
    let platform = start(&chain("swap", json!({"size": 4}), json!({}), json!({}))).await;
    let other = platform.get::<dyn Echo>("other").unwrap();
    logged("swap");
    let applied = platform.swap("leaf", Replacement::same()).await.unwrap();
    assert_eq!(applied.why, [("echo/leaf".to_owned(), Why::Requested)].into());
    assert_eq!(logged("swap"), ["start leaf:4", "stop leaf:4"]);
    platform
        .swap("echo/other", Replacement::plugin("leaf").with_settings(json!({"log": "swap", "size": 9})))
        .await
        .unwrap();
    assert_eq!(other.call(Duration::ZERO).await.unwrap(), "other:9");
    let status = platform.status().into_iter().find(|status| status.id == "other").unwrap();
    assert_eq!((status.name, status.state), ("leaf", PluginState::Running));
    // What others require has to stay.
    let with = |settings: JsonValue| Replacement::plugin("other").with_settings(settings);
    let error = platform.swap("middle", with(json!({"log": "swap"}))).await.unwrap_err();
    assert_eq!(codes(&error), [Code::MissingRequirement]);
    // It has no settings of the one before it.
    let error = platform.swap("leaf", Replacement::plugin("other")).await.unwrap_err();
    assert_eq!(codes(&error), [Code::MissingField]);
    assert_eq!(error.diagnostics()[0].path.as_deref(), Some("swap(leaf).config.log"));
    // Another plugin meets the requirement, so this one may go; who requires it finds others than before.
    let applied = platform.swap("leaf", with(json!({"log": "swap"}))).await.unwrap();
    let why = [("echo/leaf".to_owned(), Why::Plugin), ("echo/middle".to_owned(), Why::Peers)];
    assert_eq!(applied.why, why.into());
    let shown = applied.to_string();
    assert!(shown.contains("swapped echo/leaf: another plugin takes its id (leaf → other)\n"), "{shown}");
    let error = platform.swap("middle", Replacement::plugin("vault")).await.unwrap_err();
    assert_eq!(codes(&error)[0], Code::UnknownPlugin);
    assert_eq!(error.diagnostics()[0].path.as_deref(), Some("swap(middle).name"));
    assert_eq!(platform.swap("nobody", Replacement::same()).await.unwrap_err().kind(), ErrorKind::NotFound);
    let error = platform.swap("leaf", Replacement::settings(json!({"size": 1}))).await.unwrap_err();
    assert_eq!(codes(&error), [Code::MissingField]);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_plugin_is_stopped_unless_others_require_it() {
    let platform = start(&chain("stop", json!({}), json!({}), json!({}))).await;
    let error = platform.deactivate("leaf").await.unwrap_err();
    assert_eq!((error.kind(), codes(&error)), (ErrorKind::Invalid, vec![Code::StillRequired]));
    assert!(error.to_string().contains("`middle` requires it"), "{error}");
    for id in ["top", "middle", "leaf"] {
        assert_eq!(platform.deactivate(id).await.unwrap().stopped, [format!("echo/{id}")]);
    }
    let applied = platform.activate(entry("stop", "leaf", "leaf", json!({"size": 3}))).await.unwrap();
    assert_eq!(applied.started, ["echo/leaf"]);
    assert_eq!(ask(&platform, "leaf").await, "leaf:3");
    let error = platform.activate(entry("stop", "leaf", "leaf", json!({}))).await.unwrap_err();
    assert_eq!(codes(&error), [Code::DuplicateId]);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_exists_once_is_handed_over_and_back_when_the_successor_fails() {
    let platform = start(&echoes("baton", &[("baton", "baton", json!({}))])).await;
    let handle = platform.get::<dyn Echo>("baton").unwrap();
    let generation = async || mlx_core::Handle::health(&handle).await.unwrap().details["generation"].clone();
    assert_eq!(generation().await, 1);
    platform.swap("baton", Replacement::merge(json!({"size": 2}))).await.unwrap();
    assert_eq!(generation().await, 2);
    let error = platform.swap("baton", Replacement::merge(json!({"start": "fail"}))).await.unwrap_err();
    assert_eq!(codes(&error), [Code::StartFailed]);
    assert_eq!((generation().await, ask(&platform, "baton").await), (2.into(), "baton:2".into()));
    platform.swap("baton", Replacement::merge(json!({"hand_over": "fail"}))).await.unwrap();
    assert_eq!(generation().await, 3);
    let error = platform.swap("baton", Replacement::same()).await.unwrap_err();
    assert_eq!(codes(&error), [Code::HandOverFailed]);
    assert_eq!(ask(&platform, "baton").await, "baton:2");
    platform.shutdown().await.unwrap();
}

fn single(test: &str, single: JsonValue, over: JsonValue) -> Composition {
    echoes(test, &[("leaf", "leaf", json!({})), ("single", "single", single), ("over", "over-single", over)])
}

#[tokio::test]
async fn what_cannot_run_twice_is_stopped_before_its_successor_starts() {
    let platform = start(&single("restart", json!({}), json!({"peer": "single"}))).await;
    let handle = platform.get::<dyn Echo>("single").unwrap();
    logged("restart");
    let composition = single("restart", json!({"size": 2, "takes": "100ms"}), json!({"peer": "single"}));
    let change = platform.apply(&composition);
    let gap = async {
        while handle.call(Duration::ZERO).await.is_ok() {
            tokio::task::yield_now().await;
        }
        let error = handle.call(Duration::ZERO).await.unwrap_err();
        let status = platform.status();
        (error.kind(), status.iter().find(|status| status.id == "single").unwrap().state)
    };
    let (applied, gap) = tokio::join!(change, gap);
    let applied = applied.unwrap();
    assert_eq!(done(&applied), [("restarted", vec!["echo/single"])].into());
    assert_eq!(gap.0, ErrorKind::Stopped);
    assert!(matches!(gap.1, PluginState::Stopping | PluginState::Stopped), "{gap:?}");
    assert_eq!(logged("restart"), ["stop single:1", "start single:2"]);
    // Who changes with it finds the successor.
    let composition = single("restart", json!({"size": 3}), json!({"size": 3, "peer": "single"}));
    let applied = platform.apply(&composition).await.unwrap();
    assert_eq!(done(&applied), [("restarted", vec!["echo/single"]), ("swapped", vec!["echo/over"])].into());
    let lines = ["stop single:2", "start single:3", "start over:3 finds single:3", "stop over:1"];
    assert_eq!(logged("restart"), lines);
    platform.shutdown().await.unwrap();
    assert_eq!(logged("restart"), ["stop over:3", "stop single:3", "stop leaf:1"]);
}

#[tokio::test]
async fn a_failed_restart_brings_the_old_one_back() {
    for (way, settings) in [
        ("its own start", (json!({"size": 2, "start": "fail"}), json!({}))),
        ("its health", (json!({"size": 2, "health": "fail"}), json!({}))),
        ("one after it", (json!({"size": 2}), json!({"size": 2, "start": "panic"}))),
    ] {
        let test = format!("back {way}");
        let platform = start(&single(&test, json!({}), json!({}))).await;
        logged(&test);
        platform.apply(&single(&test, settings.0, settings.1)).await.unwrap_err();
        assert_eq!(ask(&platform, "single").await, "single:1", "{way}");
        assert!(platform.status().iter().all(|status| status.state == PluginState::Running), "{way}");
        assert_eq!(logged(&test).last().unwrap(), "start single:1");
        platform.shutdown().await.unwrap();
        let lines = logged(&test);
        let place = |line: &str| lines.iter().position(|other| other == line).unwrap();
        assert!(place("stop over:1") < place("stop single:1"), "{lines:?}");
        assert_eq!(lines.len(), 3);
    }
}

#[tokio::test]
async fn what_fails_before_it_costs_no_restart() {
    let of = |leaf: JsonValue, size: u32| {
        echoes("spared", &[("leaf", "leaf", leaf), ("single", "single", json!({"size": size}))])
    };
    let platform = start(&of(json!({}), 1)).await;
    logged("spared");
    platform.apply(&of(json!({"start": "fail"}), 2)).await.unwrap_err();
    assert!(logged("spared").is_empty());
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_restored_is_said_loudly_and_mended_by_the_next_change() {
    let of = |size: u32, start: &str| single("lost", json!({"size": size, "start": start}), json!({}));
    let platform = start(&of(1, "switch")).await;
    SWITCHES.lock().unwrap().insert("lost:single".to_owned());
    let error = platform.apply(&of(2, "fail")).await.unwrap_err();
    assert_eq!(codes(&error), [Code::StartFailed, Code::RestoreFailed, Code::StartFailed]);
    let report = format!("{error:?}");
    assert!(report.contains("runs without `echo/single`"), "{report}");
    assert!(report.contains("no start today") && report.contains("the switch is on"), "both causes: {report}");
    let status = platform.status().into_iter().find(|status| status.id == "single").unwrap();
    assert_eq!(status.state, PluginState::Failed);
    assert!(!platform.health().await.plugins["echo/single"].is_healthy());
    assert!(platform.warnings().iter().any(|warning| warning.code == Code::StartFailed));
    assert_eq!(ask(&platform, "over").await, "over:1");
    // It is tried again by whatever is applied next.
    SWITCHES.lock().unwrap().remove("lost:single");
    let applied = platform.apply(&of(1, "switch")).await.unwrap();
    assert_eq!(applied.why["echo/single"], Why::NotRunning);
    assert_eq!(ask(&platform, "single").await, "single:1");
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_added_plugin_may_fail_where_that_is_allowed_and_a_replacement_may_not() {
    let of = |size: u32, start: &str| {
        let flaky =
            entry("flaky", "flaky", "leaf", json!({"size": size, "start": start})).on_failure(OnFailure::Continue);
        let mut composition = Composition::builder().plugin_with("echo", "leaf", json!({}), |_| flaky);
        composition = composition.plugin("echo", "other", json!({"log": "flaky"}));
        composition.build()
    };
    let platform = start(&echoes("flaky", &[("other", "other", json!({}))])).await;
    let applied = platform.apply(&of(1, "fail")).await.unwrap();
    assert!(applied.is_unchanged() && applied.warnings[0].message.contains("runs without `flaky`"), "{applied:?}");
    assert_eq!(platform.status()[0].state, PluginState::Failed);
    let applied = platform.apply(&of(1, "well")).await.unwrap();
    assert_eq!(applied.started, ["echo/flaky"]);
    platform.apply(&of(2, "fail")).await.unwrap_err();
    assert_eq!(ask(&platform, "flaky").await, "flaky:1");
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_degraded_successor_is_accepted_with_a_warning() {
    let platform = start(&echoes("degraded", &[("leaf", "leaf", json!({}))])).await;
    let applied = platform.swap("leaf", Replacement::merge(json!({"health": "degraded", "size": 2}))).await.unwrap();
    assert_eq!(applied.warnings.len(), 1);
    assert_eq!((applied.warnings[0].code, applied.warnings[0].is_error()), (Code::Unhealthy, false));
    assert_eq!(ask(&platform, "leaf").await, "leaf:2");
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn calls_finish_on_the_old_one_and_are_cancelled_at_its_deadline() {
    let mut slow = entry("drain", "leaf", "leaf", json!({"stop": "fail"}));
    slow = slow.timeouts(Duration::from_secs(20), Duration::from_millis(300));
    let composition = Composition::builder().plugin_with("echo", "leaf", json!({}), |_| slow).build();
    let platform = start(&composition).await;
    let handle = platform.get::<dyn Echo>("leaf").unwrap();
    let call = |wait: u64| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.call(Duration::from_millis(wait)).await })
    };
    let (short, long) = (call(100), call(60_000));
    // Long enough for both to begin.
    sleep(Duration::from_millis(50)).await;
    let applied = platform.swap("leaf", Replacement::merge(json!({"size": 2}))).await.unwrap();
    assert_eq!(short.await.unwrap().unwrap(), "leaf:1");
    assert_eq!(long.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(applied.cancelled_calls, 1);
    // The change is done all the same.
    let found: Vec<Code> = applied.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(found, [Code::DeadlineExceeded, Code::StopFailed]);
    assert!(applied.warnings.iter().all(|warning| !warning.is_error()));
    assert_eq!(ask(&platform, "leaf").await, "leaf:2");
    let _ = platform.shutdown().await;
}

#[tokio::test]
async fn readers_do_not_wait_for_a_change_and_a_caller_who_does_not_wait_undoes_it() {
    let of = |size: u32| {
        let takes = if size == 1 { "0s" } else { "60s" };
        chain("giving up", json!({"size": size}), json!({"size": size, "takes": takes}), json!({}))
    };
    let platform = start(&of(1)).await;
    logged("giving up");
    let next = of(2);
    let changed = timeout(Duration::from_millis(300), platform.apply(&next));
    let read = async {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(platform.status().len(), 4);
        assert_eq!(platform.plan().steps().len(), 4);
        assert_eq!(platform.health().await.plugins.len(), 4);
        ask(&platform, "leaf").await
    };
    let (changed, read) = tokio::join!(changed, read);
    assert!(changed.is_err());
    assert_eq!(read, "leaf:1");
    // The next one waits until the first is undone.
    let applied = platform.apply(&chain("giving up", json!({}), json!({}), json!({"size": 2}))).await.unwrap();
    assert_eq!(done(&applied), [("swapped", vec!["echo/top"])].into());
    assert_eq!(logged("giving up"), ["start leaf:2", "stop leaf:2", "start top:2", "stop top:1"]);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_a_change_and_leaves_nothing_running() {
    let of = |size: u32, takes: &str| {
        chain("ending", json!({"size": size}), json!({"size": size, "takes": takes}), json!({}))
    };
    let platform = Arc::new(start(&of(1, "0s")).await);
    logged("ending");
    let change = tokio::spawn({
        let platform = platform.clone();
        async move { platform.apply(&of(2, "60s")).await }
    });
    while LOGS.lock().unwrap().get("ending").is_none() {
        sleep(Duration::from_millis(5)).await;
    }
    platform.shutdown().await.unwrap();
    assert_eq!(change.await.unwrap().unwrap_err().kind(), ErrorKind::Stopped);
    let mut lines = logged("ending");
    // It depends on nothing, so its place is open.
    lines.retain(|line| line != "stop other:1");
    assert_eq!(lines, ["start leaf:2", "stop leaf:2", "stop top:1", "stop middle:1", "stop leaf:1"]);
    let error = platform.apply(&of(1, "0s")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
    assert!(error.to_string().contains("shut down"), "{error}");
}

/// Swaps and calls until there were so many of both; the plugins themselves see to it that none is called after its
/// stop.
async fn swaps_under_load(test: &'static str, swaps: u32, calls: usize) {
    let platform = start(&chain(test, json!({}), json!({"peer": "leaf"}), json!({}))).await;
    let callers = Callers::of(&platform, &["leaf", "middle"], 4);
    let (leaf, middle) = (platform.get::<dyn Echo>("leaf").unwrap(), platform.get::<dyn Echo>("middle").unwrap());
    let mut swapped = 0;
    for size in 2.. {
        let id = if size % 4 == 0 { "middle" } else { "leaf" };
        let applied = platform.swap(id, Replacement::merge(json!({"size": size}))).await.unwrap();
        assert_eq!((applied.swapped.len(), applied.cancelled_calls, applied.warnings.len()), (1, 0, 0));
        assert!(leaf.call(Duration::ZERO).await.is_ok() && middle.ask().await.is_ok());
        swapped += 1;
        if swapped >= swaps && callers.calls.load(Ordering::Relaxed) >= calls {
            break;
        }
    }
    let calls = callers.end().await;
    println!("{swapped} swaps under {calls} calls of 8 callers: none failed");
    platform.shutdown().await.unwrap();
    let lines = logged(test);
    let count = |what: &str| lines.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!((count("start"), count("stop")), (4 + swapped as usize, 4 + swapped as usize));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_swaps_under_load_lose_no_call() {
    swaps_under_load("load", 1000, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo test -p mlx-core --release --test change -- --ignored --nocapture ten_million"]
async fn ten_million_calls_under_swaps_lose_none() {
    swaps_under_load("ten million", 1000, 10_000_000).await;
}

#[tokio::test]
async fn a_variable_for_the_plugin_before_it_is_named_when_its_successor_has_no_such_setting() {
    let variables = [("MLX__MAIN__SUFFIX".to_owned(), "s".to_owned())];
    let vault = Composition::builder()
        .plugin_with("security", "vault", json!({}), |entry| entry.with_id("main"))
        .build()
        .with_variables(HashMap::from(variables));
    let platform = start(&vault).await;
    let error = platform.swap("main", Replacement::plugin("safe").with_settings(json!({}))).await.unwrap_err();
    assert_eq!(codes(&error), [Code::UnknownField], "{error:?}");
    let expected = "the environment variable was there for `vault`, which runs as `main`: unset it to put `safe` there";
    assert!(error.diagnostics()[0].help.iter().any(|help| help == expected), "{error:?}");
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_handle_finds_the_plugin_that_comes_back_under_its_id() {
    let both = echoes("back", &[("main", "leaf", json!({})), ("other", "other", json!({}))]);
    let platform = start(&both).await;
    let handle = platform.get::<dyn Echo>("main").unwrap();
    platform.deactivate("main").await.unwrap();
    assert_eq!(handle.call(Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Stopped);
    // A change that fails shows nothing of it.
    let broken = echoes("back", &[("main", "leaf", json!({"size": 2})), ("bad", "leaf", json!({"start": "fail"}))]);
    platform.apply(&broken).await.unwrap_err();
    assert_eq!(handle.call(Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Stopped);
    let applied = platform.activate(entry("back", "main", "other", json!({"size": 3}))).await.unwrap();
    assert_eq!(done(&applied), [("started", vec!["echo/main"])].into());
    assert_eq!(handle.call(Duration::ZERO).await.unwrap(), "main:3");
    assert_eq!(ask(&platform, "main").await, "main:3");
    assert!(platform.status().iter().all(|status| status.state == PluginState::Running));
    platform.shutdown().await.unwrap();
    assert_eq!(handle.call(Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Stopped);
}

#[tokio::test]
async fn an_id_is_changed_in_one_change() {
    for (name, first, second) in [
        ("leaf", "start new:1", "stop old:1"),
        ("baton", "start new:1", "stop old:1"),
        // It cannot run twice.
        ("single", "stop old:1", "start new:1"),
    ] {
        let test = format!("rename {name}");
        let platform = start(&echoes(&test, &[("old", name, json!({}))])).await;
        let old = platform.get::<dyn Echo>("old").unwrap();
        logged(&test);
        let applied = platform.apply(&echoes(&test, &[("new", name, json!({}))])).await.unwrap();
        assert_eq!(logged(&test), [first, second]);
        let why = [("echo/new".to_owned(), Why::Renamed), ("echo/old".to_owned(), Why::Removed)];
        assert_eq!(applied.why, why.into());
        assert_eq!(ask(&platform, "new").await, "new:1");
        assert_eq!(old.call(Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Stopped);
        if name == "baton" {
            // What exists once was handed over.
            assert_eq!(platform.health().await.plugins["echo/new"].details["generation"], json!(2));
        }
        // One that fails leaves the old one there.
        let broken = [("newer", name, json!({})), ("bad", "other", json!({"start": "fail"}))];
        platform.apply(&echoes(&test, &broken)).await.unwrap_err();
        assert_eq!(ask(&platform, "new").await, "new:1");
        platform.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_change_of_options_is_shown() {
    let platform = start(&echoes("quiet", &[("main", "leaf", json!({}))])).await;
    let mut composition = Composition::builder();
    let quiet = entry("quiet", "main", "leaf", json!({})).measure(true);
    composition = composition.plugin_with("echo", "leaf", json!({}), |_| quiet);
    let applied = platform.apply(&composition.build()).await.unwrap();
    assert_eq!(applied.to_string(), "adjusted echo/main: it runs on with other options\nunchanged: 1\n");
    // From now on.
    ask(&platform, "main").await;
    assert_eq!(platform.metrics().get("echo/main", "echo.call").map(|calls| calls.completed), Some(1));
    platform.shutdown().await.unwrap();
}
