//! Where a plugin stands, and how it says that it works with losses, or not any more.

use crate::handle::Instance;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

/// The state of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PluginState {
    /// Waits for what it requires.
    Pending,
    /// Is being started.
    Starting,
    /// Runs.
    Running,
    /// Runs with losses, as it says itself, and may recover.
    Degraded,
    /// Does not work and will not: its start failed, or it said so itself.
    Failed,
    /// Finishes its calls and gives back what it holds.
    Stopping,
    /// Ended.
    Stopped,
}

impl PluginState {
    /// The state in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            PluginState::Pending => "pending",
            PluginState::Starting => "starting",
            PluginState::Running => "running",
            PluginState::Degraded => "degraded",
            PluginState::Failed => "failed",
            PluginState::Stopping => "stopping",
            PluginState::Stopped => "stopped",
        }
    }

    /// Whether the plugin answers calls: it runs, be it with losses.
    pub const fn is_serving(self) -> bool {
        matches!(self, PluginState::Running | PluginState::Degraded)
    }
}

impl fmt::Display for PluginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state of a plugin, and since when and why.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PluginStatus {
    /// The id it runs under.
    pub id: String,
    /// Its type.
    pub kind: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its state.
    pub state: PluginState,
    /// When it got there.
    pub since: SystemTime,
    /// Why, for a failure or a degradation.
    pub cause: Option<String>,
}

impl PluginStatus {
    pub(crate) fn pending(id: String, kind: &'static str, name: &'static str, since: SystemTime) -> Self {
        PluginStatus { id, kind, name, state: PluginState::Pending, since, cause: None }
    }

    /// The type and the id: `data_source/sqlite`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.kind, self.id)
    }
}

/// How a plugin says it is, between its start and its stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// It does what it should.
    #[default]
    Working,
    /// It works with losses for this reason, and may recover.
    Degraded(String),
    /// It does not work any more for this reason, and nothing but a new start will change that.
    Failed(String),
}

/// The plugin's own voice in the status of its platform: [`InitContext::status`](super::InitContext::status).
///
/// Clones speak for the same plugin, so one can be kept by each task that notices something. What is said before the
/// plugin runs counts from the moment it runs; what a plugin says that was replaced or is being stopped does not count.
///
/// ```
/// use mlx_core::plugin::{Condition, InitContext};
///
/// let cx = InitContext::alone("sqlite");
/// let status = cx.status().clone();
/// status.degraded("the replica is 40 s behind");
/// assert_eq!(cx.status().condition(), Condition::Degraded("the replica is 40 s behind".into()));
/// status.recovered();
/// assert_eq!(cx.status().condition(), Condition::Working);
/// ```
#[derive(Clone, Default)]
pub struct StatusReporter {
    shared: Arc<Reports>,
}

/// What clones share, and an instance provides, so that whoever publishes it finds the plugin's voice there.
#[derive(Default)]
struct Reports(Mutex<Shared>);

#[derive(Default)]
struct Shared {
    condition: Condition,
    /// Why calls to the plugin are refused on its behalf.
    circuit: Option<String>,
    watcher: Option<Watcher>,
}

type Watcher = Box<dyn Fn(&Condition) + Send + Sync>;

impl StatusReporter {
    /// For a plugin that no platform watches.
    pub fn new() -> Self {
        StatusReporter::default()
    }

    /// That of the plugin in an instance.
    pub(crate) fn of(instance: &Instance) -> Option<StatusReporter> {
        instance.get::<Reports>().map(|shared| StatusReporter { shared: shared.clone() })
    }

    /// Has the instance provide it.
    pub(crate) fn attach(&self, instance: Instance) -> Instance {
        instance.provide(self.shared.clone())
    }

    /// The plugin works with losses. Saying it again with another reason replaces the reason.
    pub fn degraded(&self, cause: impl Into<String>) {
        self.report(Condition::Degraded(cause.into()));
    }

    /// The plugin does what it should again.
    pub fn recovered(&self) {
        self.report(Condition::Working);
    }

    /// The plugin does not work any more, and will not until it is started anew. This is the last word: what is
    /// reported after it does not count.
    pub fn failed(&self, cause: impl Into<String>) {
        self.report(Condition::Failed(cause.into()));
    }

    /// What was said last.
    pub fn condition(&self) -> Condition {
        self.shared().condition.clone()
    }

    /// The circuit breaker refuses calls to the plugin, for this reason; `None` when it no longer does.
    pub(crate) fn circuit(&self, cause: Option<String>) {
        let mut shared = self.shared();
        if shared.circuit != cause {
            shared.circuit = cause;
            shared.tell();
        }
    }

    fn report(&self, condition: Condition) {
        let mut shared = self.shared();
        if shared.condition == condition || matches!(shared.condition, Condition::Failed(_)) {
            return;
        }
        shared.condition = condition;
        shared.tell();
    }

    /// Tells `watcher` what was said last, and everything from now on. It must not report itself.
    pub(crate) fn watch(&self, watcher: impl Fn(&Condition) + Send + Sync + 'static) {
        let mut shared = self.shared();
        shared.watcher = Some(Box::new(watcher));
        shared.tell();
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Under the lock, so that two reports arrive in the order in which they were made.
    fn tell(&self) {
        let Some(watcher) = &self.watcher else { return };
        match (&self.condition, &self.circuit) {
            (condition, None) | (condition @ Condition::Failed(_), _) => watcher(condition),
            (Condition::Working, Some(circuit)) => watcher(&Condition::Degraded(circuit.clone())),
            (Condition::Degraded(own), Some(circuit)) => watcher(&Condition::Degraded(format!("{own}; {circuit}"))),
        }
    }
}

impl fmt::Debug for StatusReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StatusReporter").field(&self.condition()).finish()
    }
}
