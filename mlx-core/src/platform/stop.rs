//! Stopping plugins in the reverse order of their start.

use super::{running::Running, start::lifecycle, status::PluginState, step};
use crate::{
    diagnostics::{Code, Diagnostic},
    handle::{Instance, Retired, Slot},
    metrics::Timer,
};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long calls that were cancelled may take to notice.
const AFTER_CANCEL: Duration = Duration::from_secs(1);

/// Stops everything that runs, the last started first. Goes on after a failure, and returns them all.
pub(super) async fn stop_all(running: &Running) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let snapshot = running.snapshot();
    for member in running.take_started() {
        // What runs is part of the platform.
        let Some(position) = snapshot.position_of(&member) else { continue };
        let step = &snapshot.plan.steps[position];
        running.set_state(&member, PluginState::Stopping, None);
        let stopped = stop_slot(&step.id, &member.slot, step.stop_timeout).await;
        let cause = stopped.found.first().map(|diagnostic| diagnostic.message.clone());
        running.set_state(&member, PluginState::Stopped, cause);
        found.extend(stopped.found.into_iter().map(|d| d.at(step.location.as_ref()).in_path(&step.path)));
    }
    running.changes_of_status.end();
    running.events.close();
    found
}

/// What the stop of a plugin brought.
#[derive(Default)]
pub(super) struct Stopped {
    /// What did not go well.
    pub(super) found: Vec<Diagnostic>,
    /// Calls that did not finish in time.
    pub(super) cancelled: usize,
}

/// Takes the plugin out of its slot, lets its calls finish, and shuts it down.
pub(super) async fn stop_slot(id: &str, slot: &Slot, deadline: Duration) -> Stopped {
    let Some(retired) = slot.close() else { return Stopped::default() };
    let mut stopped = drain(id, &retired, deadline).await;
    stopped.found.extend(shutdown(id, retired.instance(), deadline).await);
    stopped.found.extend(release(id, retired, deadline).await);
    stopped
}

/// Lets calls finish, and cancels those that do not.
pub(super) async fn drain(id: &str, retired: &Retired, deadline: Duration) -> Stopped {
    if timeout(deadline, retired.drained()).await.is_ok() {
        return Stopped::default();
    }
    let cancelled = retired.cancel();
    let message = format!("`{id}` still had calls in flight after {deadline:?}; {cancelled} were cancelled");
    // A caller that merely holds on to the plugin cannot be made to let go.
    let _ = timeout(AFTER_CANCEL, retired.drained()).await;
    Stopped { found: vec![Diagnostic::error(Code::DeadlineExceeded, message)], cancelled }
}

/// Runs the plugin's own shutdown.
pub(super) async fn shutdown(id: &str, instance: &Instance, deadline: Duration) -> Option<Diagnostic> {
    let plugin = match lifecycle(instance) {
        Ok(plugin) => plugin,
        Err(error) => return Some(Diagnostic::error(Code::StopFailed, error.to_string())),
    };
    let mut timer = instance.meter().map_or(Timer::off(), |meter| meter.start("shutdown"));
    let stop = timer.around(async move { plugin.shutdown().await });
    let stopped = step::run(deadline, &CancellationToken::new(), stop, |()| async {}).await;
    timer.stop(stopped.is_ok());
    stopped.err().map(|error| error.diagnostic(id, "stop", Code::StopFailed))
}

/// Drops a plugin, or what holds the last of it. Its `Drop` is foreign code like its steps.
pub(super) async fn release(id: &str, plugin: impl Send + 'static, deadline: Duration) -> Option<Diagnostic> {
    let release = async move {
        drop(plugin);
        Ok(())
    };
    step::run(deadline, &CancellationToken::new(), release, |()| async {})
        .await
        .err()
        .map(|error| error.diagnostic(id, "be dropped", Code::StopFailed))
}
