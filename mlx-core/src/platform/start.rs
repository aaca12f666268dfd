//! Starting a plan: everything, or nothing.

use super::{
    running::{PlatformPeers, Running},
    status::PluginState,
    step::{self, StepError},
    stop,
};
use crate::{
    composition::{OnFailure, Plan, Step},
    config::Resolved,
    contracts::Security,
    diagnostics::{Code, Diagnostic, Error, ErrorKind, Result},
    handle::{Handle, Instance},
    plugin::{InitContext, Lifecycle},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// This many plugins start at once; the others wait for their turn.
const AT_ONCE: usize = 32;

/// Why a plugin does not run.
struct Failure {
    diagnostics: Vec<Diagnostic>,
    kind: ErrorKind,
}

/// Starts the plugins, each after those it requires. On failure, what was started has been stopped again.
pub(super) async fn start(plan: Plan, cancellation: CancellationToken) -> Result<Arc<Running>> {
    let running = Arc::new(Running::new(plan));
    let steps = &running.plan.steps;
    let mut followers = vec![Vec::new(); steps.len()];
    let mut waiting: Vec<usize> = steps.iter().map(|step| step.requires.len()).collect();
    for (position, step) in steps.iter().enumerate() {
        for before in &step.requires {
            followers[*before].push(position);
        }
    }
    let mut ready: BTreeSet<usize> = (0..steps.len()).filter(|position| waiting[*position] == 0).collect();
    let mut tasks = JoinSet::new();
    let mut fatal: Vec<Failure> = Vec::new();
    loop {
        while fatal.is_empty() && !cancellation.is_cancelled() && tasks.len() < AT_ONCE {
            let Some(position) = ready.pop_first() else { break };
            tasks.spawn(start_one(running.clone(), position, cancellation.clone()));
        }
        let Some(ended) = tasks.join_next().await else { break };
        let (position, result) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                fatal.push(Failure {
                    diagnostics: vec![Diagnostic::error(Code::Panicked, format!("the start was interrupted: {error}"))],
                    kind: ErrorKind::Internal,
                });
                cancellation.cancel();
                continue;
            }
        };
        match result {
            Ok(()) => {
                for follower in &followers[position] {
                    waiting[*follower] -= 1;
                    if waiting[*follower] == 0 {
                        ready.insert(*follower);
                    }
                }
            }
            Err(failure) => {
                let cause = failure.diagnostics.first().map(|diagnostic| diagnostic.message.clone());
                running.set_state(position, PluginState::Failed, cause);
                match abandoned(&running, position, &followers) {
                    Some(dependent) if steps[position].on_failure == OnFailure::Continue => {
                        fatal.push(dependent_failure(&running, position, dependent, failure));
                        cancellation.cancel();
                    }
                    None if steps[position].on_failure == OnFailure::Continue => {}
                    _ => {
                        fatal.push(failure);
                        cancellation.cancel();
                    }
                }
            }
        }
    }
    if fatal.is_empty() && !cancellation.is_cancelled() {
        return Ok(running);
    }
    let subject = match running.plan.name() {
        "" => "the platform".to_owned(),
        name => format!("the platform \"{name}\""),
    };
    let undone = stop::stop_all(&running).await;
    // A start that was given up because of another's failure is no news.
    let real = fatal.iter().filter(|failure| failure.kind != ErrorKind::Cancelled).count();
    if real > 0 {
        fatal.retain(|failure| failure.kind != ErrorKind::Cancelled);
    }
    let kind = fatal.first().map_or(ErrorKind::Cancelled, |failure| failure.kind);
    let message = match fatal.is_empty() {
        true => format!("{subject} did not start: it was cancelled"),
        false => format!("{subject} did not start"),
    };
    let diagnostics = fatal.into_iter().flat_map(|failure| failure.diagnostics).chain(undone);
    Err(Error::new(kind, message).with_diagnostics(diagnostics))
}

/// Marks everything that requires a failed plugin as failed. Returns one that the platform cannot do without.
fn abandoned(running: &Running, failed: usize, followers: &[Vec<usize>]) -> Option<usize> {
    let mut needed = None;
    let mut pending = followers[failed].clone();
    while let Some(position) = pending.pop() {
        let step = &running.plan.steps[position];
        let cause = format!("`{}` did not start", running.plan.steps[failed].id);
        running.set_state(position, PluginState::Failed, Some(cause));
        if step.on_failure == OnFailure::Abort {
            needed = Some(position);
        }
        pending.extend(&followers[position]);
    }
    needed
}

fn dependent_failure(running: &Running, failed: usize, dependent: usize, mut failure: Failure) -> Failure {
    let (step, before) = (&running.plan.steps[dependent], &running.plan.steps[failed]);
    failure.diagnostics.push(
        Diagnostic::error(
            Code::DependencyFailed,
            format!("`{}` requires `{}`, which did not start", step.id, before.id),
        )
        .at(step.location.as_ref())
        .in_path(&step.path)
        .help("mark both `on_failure: continue` if the platform can do without them"),
    );
    failure
}

async fn start_one(
    running: Arc<Running>,
    position: usize,
    cancellation: CancellationToken,
) -> (usize, Result<(), Failure>) {
    running.set_state(position, PluginState::Starting, None);
    let result = match initialize(&running, position, &cancellation).await {
        Ok(instance) => {
            // Nothing was there before that could need draining.
            let _ = running.slots[position].publish(instance);
            running.set_state(position, PluginState::Running, None);
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    (position, result)
}

async fn initialize(
    running: &Arc<Running>,
    position: usize,
    cancellation: &CancellationToken,
) -> Result<Instance, Failure> {
    let step = &running.plan.steps[position];
    let failure = |error: StepError| {
        let mut diagnostics =
            vec![error.diagnostic(&step.id, "start", Code::StartFailed).at(step.location.as_ref()).in_path(&step.path)];
        if let (StepError::Deadline(_), Some(diagnostic)) = (&error, diagnostics.last_mut()) {
            diagnostic.help.push("if it needs longer, raise its `start_timeout`".to_owned());
        }
        if let StepError::Failed(inner) = &error {
            diagnostics.extend(inner.diagnostics().iter().cloned());
        }
        Failure { diagnostics, kind: error.kind() }
    };
    let resolved = secrets(running, step, cancellation).await?;
    let peers = PlatformPeers::of(running, position);
    let cx = InitContext::new(step.id.as_str(), peers, cancellation.child_token());
    let path = format!("{}.config", step.path);
    let start = step
        .registration
        .start(&step.config, running.plan.variables.as_ref(), &resolved, &path, cx)
        .map_err(|diagnostics| Failure { diagnostics, kind: ErrorKind::Invalid })?;
    let (id, deadline) = (step.id.clone(), step.stop_timeout);
    step::run(step.start_timeout, cancellation, start, move |late| discard(id, late, deadline)).await.map_err(failure)
}

/// Stops a plugin that got ready after its start had been given up.
async fn discard(id: String, instance: Instance, deadline: Duration) {
    if let Some(diagnostic) = stop::shutdown(&id, &instance, deadline).await {
        eprintln!("mlx: {}", diagnostic.one_line());
    }
}

/// Fetches the secrets that other plugins resolve.
async fn secrets(running: &Running, step: &Step, cancellation: &CancellationToken) -> Result<Resolved, Failure> {
    let mut resolved = Resolved::new();
    for deferred in &step.secrets {
        let slot = running.slots[deferred.resolver].clone();
        let key = deferred.reference.key.clone();
        let fetch = async move {
            let resolver = Handle::<dyn Security>::new(slot)?;
            resolver.secret(&key).await
        };
        match step::run(step.start_timeout, cancellation, fetch, |_| async {}).await {
            Ok(secret) => {
                resolved.insert(deferred.reference.clone(), secret.into_inner());
            }
            // The reference has a default: that is what it is for.
            Err(StepError::Failed(error))
                if deferred.reference.default.is_some() && error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let resolver = &running.plan.steps[deferred.resolver].id;
                let diagnostic = error
                    .diagnostic(
                        resolver,
                        &format!("deliver the secret `{}`", deferred.reference.key),
                        Code::SecretUnavailable,
                    )
                    .at(deferred.location.as_ref())
                    .in_path(format!("{}.config", step.path));
                return Err(Failure { diagnostics: vec![diagnostic], kind: error.kind() });
            }
        }
    }
    Ok(resolved)
}

/// Starts one plugin that stands alone.
pub(super) async fn start_alone(
    id: &str,
    start: impl std::future::Future<Output = Result<Instance>> + Send + 'static,
    deadline: Duration,
) -> Result<Instance> {
    let (name, stop) = (id.to_owned(), deadline);
    step::run(deadline, &CancellationToken::new(), start, move |late| discard(name, late, stop))
        .await
        .map_err(|error| error.into_error(id, "start"))
}

/// A plugin as what the platform drives.
pub(super) fn lifecycle(instance: &Instance) -> Result<Arc<dyn Lifecycle>> {
    instance.get::<dyn Lifecycle>().cloned().ok_or_else(|| Error::internal("the plugin has no life cycle"))
}
