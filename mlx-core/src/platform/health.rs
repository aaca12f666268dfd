//! How a platform is: what its plugins answer, and what an orchestrator makes of it.

use super::{
    Platform,
    start::{HEALTH_TIMEOUT, lifecycle},
    status::{PluginState, PluginStatus},
    step::{self, StepError},
};
use crate::{
    composition::OnFailure,
    diagnostics::Code,
    handle::Slot,
    plugin::{Health, HealthStatus},
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How a platform and its plugins are, as [`Platform::health`] found them.
///
/// For an orchestrator there are two questions, as Kubernetes puts them to a container. Both look only at the plugins
/// that the platform cannot do without, which are those without `on_failure: continue`.
///
/// | | asks | a plugin answers no when it |
/// |---|---|---|
/// | [`ready`](Self::ready) | may requests be sent here? | neither runs nor is degraded, or is unhealthy |
/// | [`live`](Self::live) | is a restart pointless? | has failed for good, or does not answer within five seconds |
///
/// An unhealthy plugin is a reason to wait, not to restart: what it depends on may be down, and a restart would not bring
/// that back. So a plugin's `health` should give whatever it asks a deadline well below five seconds of its own. A
/// platform that is stopping is not ready, but live: it must be left to finish.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlatformHealth {
    /// The worst status of a plugin.
    pub status: HealthStatus,
    /// By type and id: `data_source/sqlite`.
    pub plugins: BTreeMap<String, Health>,
    /// The plugins because of which it is not [`ready`](Self::ready), by type and id.
    pub not_ready: Vec<String>,
    /// The plugins because of which it is not [`live`](Self::live), by type and id.
    pub not_live: Vec<String>,
}

impl PlatformHealth {
    /// Whether the platform can do its work now.
    pub fn ready(&self) -> bool {
        self.not_ready.is_empty()
    }

    /// Whether the platform can go on without being started anew.
    pub fn live(&self) -> bool {
        self.not_live.is_empty()
    }
}

/// What is known of one plugin.
struct Answer {
    health: Health,
    ready: bool,
    live: bool,
}

impl Platform {
    /// Asks all plugins how they are, at the same time. A plugin that takes longer than five seconds, or panics, is
    /// unhealthy; one that reports itself as degraded is so at best.
    pub async fn health(&self) -> PlatformHealth {
        let mut health = PlatformHealth {
            status: HealthStatus::Healthy,
            plugins: BTreeMap::new(),
            not_ready: Vec::new(),
            not_live: Vec::new(),
        };
        let snapshot = self.running.snapshot();
        let steps = &snapshot.plan.steps;
        let mut answers = Vec::new();
        match step::runtime() {
            Ok(_) => {
                let mut tasks = JoinSet::new();
                for (position, status) in snapshot.statuses().into_iter().enumerate() {
                    let slot = snapshot.slots[position].clone();
                    tasks.spawn(async move { (position, ask(status, slot).await) });
                }
                while let Some(answer) = tasks.join_next().await {
                    answers.extend(answer);
                }
                answers.sort_by_key(|(position, _)| *position);
            }
            Err(error) => answers.extend((0..steps.len()).map(|position| {
                (position, Answer { health: Health::unhealthy(error.to_string()), ready: false, live: true })
            })),
        }
        for (position, answer) in answers {
            let (label, needed) = (steps[position].label(), steps[position].on_failure == OnFailure::Abort);
            if needed && !answer.ready {
                health.not_ready.push(label.clone());
            }
            if needed && !answer.live {
                health.not_live.push(label.clone());
            }
            health.status = health.status.max(answer.health.status);
            health.plugins.insert(label, answer.health);
        }
        health
    }
}

async fn ask(status: PluginStatus, slot: Arc<Slot>) -> Answer {
    if !status.state.is_serving() {
        let why = status.cause.map_or(String::new(), |cause| format!(": {cause}"));
        let health = Health::unhealthy(format!("{}{why}", status.state));
        return Answer { health, ready: false, live: status.state != PluginState::Failed };
    }
    let ask = async move { lifecycle(&*slot.lease()?)?.health().await };
    match step::run(HEALTH_TIMEOUT, &CancellationToken::new(), ask, |_| async {}).await {
        Ok(mut health) => {
            if health.status == HealthStatus::Healthy && status.state == PluginState::Degraded {
                health.status = HealthStatus::Degraded;
                health.message = status.cause.unwrap_or_default();
            }
            Answer { ready: health.status != HealthStatus::Unhealthy, live: true, health }
        }
        Err(error) => {
            let live = !matches!(error, StepError::Deadline(_));
            let why = error.diagnostic(&status.id, "say how it is", Code::StartFailed).message;
            Answer { health: Health::unhealthy(why), ready: false, live }
        }
    }
}
