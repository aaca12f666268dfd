//! Stopping plugins in the reverse order of their start.

use super::{running::Running, start::lifecycle, status::PluginState, step};
use crate::{
    diagnostics::{Code, Diagnostic},
    handle::{Instance, Slot},
};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long calls that were cancelled may take to notice.
const AFTER_CANCEL: Duration = Duration::from_secs(1);

/// Stops everything that runs, the last started first. Goes on after a failure, and returns them all.
pub(super) async fn stop_all(running: &Running) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for position in running.take_started() {
        let step = &running.plan.steps[position];
        running.set_state(position, PluginState::Stopping, None);
        let failures = stop_slot(&step.id, &running.slots[position], step.stop_timeout).await;
        let cause = failures.first().map(|diagnostic| diagnostic.message.clone());
        running.set_state(position, PluginState::Stopped, cause);
        found.extend(failures.into_iter().map(|d| d.at(step.location.as_ref()).in_path(&step.path)));
    }
    found
}

/// Takes the plugin out of its slot, lets its calls finish, and shuts it down.
pub(super) async fn stop_slot(id: &str, slot: &Slot, deadline: Duration) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let Some(retired) = slot.close() else { return found };
    if timeout(deadline, retired.drained()).await.is_err() {
        let cancelled = retired.cancel();
        found.push(Diagnostic::error(
            Code::DeadlineExceeded,
            format!("`{id}` still had calls in flight after {deadline:?}; {cancelled} were cancelled"),
        ));
        // A caller that merely holds on to the plugin cannot be made to let go.
        let _ = timeout(AFTER_CANCEL, retired.drained()).await;
    }
    found.extend(shutdown(id, retired.instance(), deadline).await);
    found
}

/// Runs the plugin's own shutdown.
pub(super) async fn shutdown(id: &str, instance: &Instance, deadline: Duration) -> Option<Diagnostic> {
    let plugin = match lifecycle(instance) {
        Ok(plugin) => plugin,
        Err(error) => return Some(Diagnostic::error(Code::StopFailed, error.to_string())),
    };
    let stop = async move { plugin.shutdown().await };
    step::run(deadline, &CancellationToken::new(), stop, |()| async {})
        .await
        .err()
        .map(|error| error.diagnostic(id, "stop", Code::StopFailed))
}
