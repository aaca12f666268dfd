//! What a plugin is given when it starts and when it runs.

use super::{
    ComponentResult, Events, Handover, KindInfo, LifecycleFuture, PluginKind, PluginMetadata, PluginStatus,
    StatusReporter, data::Data,
};
use crate::{
    diagnostics::{Error, Result},
    handle::{Handle, Slot},
};
use std::{
    collections::BTreeMap,
    fmt,
    future::ready,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// How a plugin reaches the others. The platform implements it; contexts carry it.
pub trait Peers: Send + Sync {
    /// The slot of a running plugin of a type: by id or name, or the type's default.
    ///
    /// # Errors
    /// No such plugin runs, or the one asked for does not implement the type.
    fn find(&self, kind: &'static KindInfo, name: Option<&str>) -> Result<Arc<Slot>>;

    /// The slots of all running plugins of a type, in the order of their ids.
    fn find_all(&self, kind: &'static KindInfo) -> Vec<Arc<Slot>>;

    /// Where every plugin of the platform stands, running or not, in the order in which they are started.
    fn statuses(&self) -> Vec<PluginStatus> {
        Vec::new()
    }

    /// Every plugin that could be part of the platform, sorted by type and name.
    fn available(&self) -> Vec<&'static PluginMetadata> {
        Vec::new()
    }

    /// The JSON Schema of an available plugin's settings.
    fn schema(&self, _kind: &str, _name: &str) -> Option<serde_json::Value> {
        None
    }

    /// The events of the platform. Without one, nobody else is there.
    fn events(&self) -> Events {
        Events::new()
    }

    /// Runs a plugin's own job, as `Platform::execute` does: by id or `type/id`, in a task of its own.
    ///
    /// # Errors
    /// There is no such plugin, it does not run, or what it reported.
    fn execute<'a>(&'a self, id: &'a str, _cx: ExecutionContext) -> LifecycleFuture<'a, ComponentResult> {
        Box::pin(ready(Err(Error::not_found(format!("`{id}` is not available: this plugin runs alone")))))
    }
}

/// No other plugins: for plugins that are created alone, and in tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPeers;

impl Peers for NoPeers {
    fn find(&self, kind: &'static KindInfo, name: Option<&str>) -> Result<Arc<Slot>> {
        let wanted = name.map_or_else(|| format!("a `{}`", kind.name), |name| format!("`{name}`"));
        Err(Error::not_found(format!("{wanted} is not available: this plugin runs alone")))
    }

    fn find_all(&self, _: &'static KindInfo) -> Vec<Arc<Slot>> {
        Vec::new()
    }
}

/// What [`Plugin::initialize`](super::Plugin::initialize) is given.
#[derive(Clone)]
pub struct InitContext {
    shared: Arc<Shared>,
}

/// What all clones of a context share.
struct Shared {
    id: Arc<str>,
    peers: Arc<dyn Peers>,
    /// Of the whole start.
    start: CancellationToken,
    /// Of this plugin, once it is asked for. A plugin that cancels it gives up nobody else's start.
    cancellation: OnceLock<CancellationToken>,
    handover: Mutex<Handover>,
    status: StatusReporter,
    events: Events,
}

impl InitContext {
    /// A context for the plugin that runs as `id`. Its token is cancelled with `cancellation`.
    pub fn new(id: impl Into<Arc<str>>, peers: Arc<dyn Peers>, cancellation: CancellationToken) -> Self {
        let events = peers.events();
        let shared = Shared {
            id: id.into(),
            peers,
            start: cancellation,
            cancellation: OnceLock::new(),
            handover: Mutex::default(),
            status: StatusReporter::new(),
            events,
        };
        InitContext { shared: Arc::new(shared) }
    }

    /// A context without other plugins, for tests of one plugin.
    pub fn alone(id: impl Into<Arc<str>>) -> Self {
        InitContext::new(id, Arc::new(NoPeers), CancellationToken::new())
    }

    /// Adds what the plugin that runs so far hands over; the platform does.
    #[must_use]
    pub fn with_handover(self, handover: Handover) -> Self {
        *self.handover() = handover;
        self
    }

    /// Takes what the plugin that this one replaces handed over: `cx.handed_over::<TcpListener>()`. `None` when there
    /// is no such thing: at the first start, under another plugin's successor, and after the plugin has started.
    ///
    /// The one who gave it still works, and goes on if this start fails.
    pub fn handed_over<T: Send + Sync + 'static>(&self) -> Option<T> {
        self.handover().take()
    }

    /// Drops what was not taken, in all clones of the context.
    pub(crate) fn drop_handover(&self) {
        let left = std::mem::take(&mut *self.handover());
        drop(left);
    }

    fn handover(&self) -> MutexGuard<'_, Handover> {
        self.shared.handover.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id that the plugin runs under in this platform: its name, unless the composition gives another.
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// How other plugins are reached: for a plugin that runs the jobs of others.
    pub fn peers(&self) -> &Arc<dyn Peers> {
        &self.shared.peers
    }

    /// Cancelled when the start is given up. Long starts should watch it.
    pub fn cancellation(&self) -> &CancellationToken {
        self.shared.cancellation.get_or_init(|| self.shared.start.child_token())
    }

    /// Says how the plugin is while it runs: keep a clone, and call `degraded("the replica is behind")` on it when
    /// something is noticed, `recovered()` when it is over.
    pub fn status(&self) -> &StatusReporter {
        &self.shared.status
    }

    /// The events of the platform, to publish and to subscribe to. Keep a clone to publish while the plugin runs.
    pub fn events(&self) -> &Events {
        &self.shared.events
    }

    /// A handle to another plugin, by id or name. The plugin that asks must declare it in `requires` or `optional`, by
    /// name, type or capability: only then it is started before.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when no such plugin of this type is part of the platform,
    /// [`Denied`](crate::ErrorKind::Denied) when it was not declared.
    pub fn get<C: ?Sized + PluginKind>(&self, name: &str) -> Result<Handle<C>> {
        Handle::new(self.shared.peers.find(C::INFO, Some(name))?)
    }

    /// A handle to the type's only plugin, or the one marked as its default.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is none, or several and none is the default.
    pub fn get_default<C: ?Sized + PluginKind>(&self) -> Result<Handle<C>> {
        Handle::new(self.shared.peers.find(C::INFO, None)?)
    }

    /// Handles to all plugins of a type.
    ///
    /// # Errors
    /// None in practice: the platform offers only plugins that implement the type.
    pub fn get_all<C: ?Sized + PluginKind>(&self) -> Result<Vec<Handle<C>>> {
        self.shared.peers.find_all(C::INFO).into_iter().map(Handle::new).collect()
    }
}

impl fmt::Debug for InitContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitContext").field("id", &self.shared.id).finish_non_exhaustive()
    }
}

/// What [`Plugin::execute`](super::Plugin::execute) is given.
#[derive(Clone)]
pub struct ExecutionContext {
    run_id: String,
    input: serde_json::Value,
    data: Data,
    metadata: BTreeMap<String, String>,
    artifacts: PathBuf,
    cancellation: CancellationToken,
    peers: Arc<dyn Peers>,
    events: Events,
}

impl ExecutionContext {
    /// A context for a new run, with an id of its own.
    pub fn new() -> Self {
        let run_id = new_run_id();
        let artifacts = std::env::temp_dir().join("mlx").join(&run_id);
        ExecutionContext {
            run_id,
            input: serde_json::Value::Null,
            data: Data::default(),
            metadata: BTreeMap::new(),
            artifacts,
            cancellation: CancellationToken::new(),
            peers: Arc::new(NoPeers),
            events: Events::new(),
        }
    }

    /// Sets the run's id.
    #[must_use]
    pub fn with_run_id(mut self, run_id: impl Into<String>) -> Self {
        self.run_id = run_id.into();
        self
    }

    /// Sets the input.
    #[must_use]
    pub fn with_input(mut self, input: impl Into<serde_json::Value>) -> Self {
        self.input = input.into();
        self
    }

    /// Adds typed data, one value a type: a [`DataFrame`](crate::DataFrame), say.
    #[must_use]
    pub fn with_data<T: Send + Sync + 'static>(mut self, data: T) -> Self {
        self.data.insert(data);
        self
    }

    /// Adds all typed data that an execution delivered.
    ///
    /// # Errors
    /// The name of a type that the run has data of already; nothing is added then.
    pub(crate) fn adopt(&mut self, result: &ComponentResult) -> Result<(), &'static str> {
        self.data.adopt(&result.data)
    }

    /// Adds a note for whoever reads the run's records.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets the directory for files.
    #[must_use]
    pub fn with_artifacts(mut self, directory: impl Into<PathBuf>) -> Self {
        self.artifacts = directory.into();
        self
    }

    /// Sets the token that cancels the run.
    #[must_use]
    pub fn with_cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }

    /// Sets how other plugins are reached; the platform does.
    #[must_use]
    pub fn with_peers(mut self, peers: Arc<dyn Peers>) -> Self {
        self.events = peers.events();
        self.peers = peers;
        self
    }

    /// The events of the platform, to publish and to subscribe to.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The run's id.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The input; null when there is none.
    pub fn input(&self) -> &serde_json::Value {
        &self.input
    }

    /// The typed data of this type.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when the run has none.
    pub fn data<T: Send + Sync + 'static>(&self) -> Result<&T> {
        self.data.get().ok_or_else(|| Error::not_found(format!("the run has no `{}`", std::any::type_name::<T>())))
    }

    /// The notes.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The directory for files. It exists after [`create_artifacts`](Self::create_artifacts).
    pub fn artifacts(&self) -> &Path {
        &self.artifacts
    }

    /// Makes the directory for files, and returns it.
    ///
    /// # Errors
    /// What the operating system reported.
    pub fn create_artifacts(&self) -> Result<&Path> {
        std::fs::create_dir_all(&self.artifacts)
            .map_err(|error| Error::from(error).context(format!("creating {}", self.artifacts.display())))?;
        Ok(&self.artifacts)
    }

    /// Cancelled when the run is to end early.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// A handle to another running plugin, by id or name.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when no such plugin of this type runs.
    pub fn get<C: ?Sized + PluginKind>(&self, name: &str) -> Result<Handle<C>> {
        Handle::new(self.peers.find(C::INFO, Some(name))?)
    }

    /// A handle to the type's only plugin, or the one marked as its default.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is none, or several and none is the default.
    pub fn get_default<C: ?Sized + PluginKind>(&self) -> Result<Handle<C>> {
        Handle::new(self.peers.find(C::INFO, None)?)
    }
}

impl Default for ExecutionContext {
    fn default() -> Self {
        ExecutionContext::new()
    }
}

impl fmt::Debug for ExecutionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionContext").field("run_id", &self.run_id).finish_non_exhaustive()
    }
}

/// Sixteen hexadecimal digits from the hasher's random keys, which the operating system seeds.
fn new_run_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}", RandomState::new().hash_one((time.as_nanos(), std::process::id(), run)))
}
