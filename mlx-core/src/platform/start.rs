//! Starting plugins, each after those it requires.

use super::{
    executor::Tasks,
    running::{PlatformPeers, Running, Snapshot},
    status::PluginState,
    step::{self, StepError},
    stop,
};
use crate::{
    composition::{OnFailure, Plan, Step},
    config::Resolved,
    contracts::Security,
    diagnostics::{Code, Diagnostic, Error, ErrorKind, Related, Result, listing, panic_message},
    handle::{Handle, Instance, Slot},
    metrics::Timer,
    plugin::{Handover, HealthStatus, InitContext, Lifecycle, SwapKind},
    resilience::Retry,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    fmt,
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long a plugin may take to say how it is.
pub(super) const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a plugin does not run.
pub(super) struct Failure {
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) kind: ErrorKind,
}

/// What is to be started, and into what.
pub(super) struct Stage {
    pub(super) running: Arc<Running>,
    /// What the plugins find, and the slots that they are published in.
    pub(super) snapshot: Arc<Snapshot>,
    /// Whether callers use the platform meanwhile: nothing that is new may show before all of it is ready, and each
    /// has to be healthy.
    pub(super) change: bool,
    /// Positions of what is started; the others run already.
    pub(super) touched: BTreeSet<usize>,
    /// Where the one is that each of these takes over from. They are not done without.
    pub(super) predecessors: BTreeMap<usize, Arc<Slot>>,
    /// When all of it has to have started.
    pub(super) deadline: Option<Instant>,
}

/// What became of plugins that were to be started, by position in the plan.
#[derive(Default)]
pub(super) struct Outcome {
    /// In the order in which they got ready.
    pub(super) started: Vec<usize>,
    /// What the platform can do without, and why it has to.
    pub(super) failed: Vec<(usize, String)>,
    /// Why the rest was given up.
    pub(super) fatal: Vec<Failure>,
    /// What should be known all the same.
    pub(super) warnings: Vec<Diagnostic>,
}

/// Starts a whole plan. On failure, what was started has been stopped again.
pub(super) async fn start(plan: Plan, cancellation: CancellationToken) -> Result<Arc<Running>> {
    let running = Arc::new(Running::new(plan));
    let snapshot = running.snapshot();
    let everything: BTreeSet<usize> = (0..snapshot.plan.steps.len()).collect();
    let (touched, predecessors) = (everything.clone(), BTreeMap::new());
    // A deadline that no clock can show is none.
    let deadline = snapshot.plan.options.start_timeout.and_then(|limit| Instant::now().checked_add(limit));
    let stage = Stage { running: running.clone(), snapshot, change: false, touched, predecessors, deadline };
    let stage = Arc::new(stage);
    let mut outcome = Outcome::default();
    let late = in_time(&stage, everything, &cancellation, &mut outcome).await;
    outcome.fatal.splice(..0, late);
    for position in &outcome.started {
        running.add_started(&stage.snapshot.members[*position]);
    }
    if outcome.fatal.is_empty() && !cancellation.is_cancelled() {
        return Ok(running);
    }
    let undone = stop::stop_all(&running).await;
    let subject = subject(&stage.snapshot.plan);
    Err(given_up(format_args!("{subject} did not start"), outcome.fatal, undone))
}

/// Starts the plugins, and gives up when the platform's own deadline has passed.
async fn in_time(
    stage: &Arc<Stage>,
    positions: BTreeSet<usize>,
    cancellation: &CancellationToken,
    outcome: &mut Outcome,
) -> Option<Failure> {
    let mut starting = pin!(start_all(stage, positions, cancellation, outcome));
    let Some(deadline) = stage.deadline else {
        starting.await;
        return None;
    };
    if timeout_at(deadline, starting.as_mut()).await.is_ok() {
        return None;
    }
    // Before they are given up.
    let statuses = stage.snapshot.statuses();
    cancellation.cancel();
    starting.await;
    let in_state = |state: PluginState| {
        let ids: Vec<&str> =
            statuses.iter().filter(|status| status.state == state).map(|status| status.id.as_str()).collect();
        (!ids.is_empty()).then(|| listing(ids))
    };
    let limit = stage.snapshot.plan.options.start_timeout.unwrap_or_default();
    let mut message = format!("{} did not start within {limit:?}", subject(&stage.snapshot.plan));
    if let Some(ids) = in_state(PluginState::Starting) {
        message.push_str(&format!("; still starting: {ids}"));
    }
    if let Some(ids) = in_state(PluginState::Pending) {
        message.push_str(&format!("; waiting for others: {ids}"));
    }
    let diagnostic = Diagnostic::error(Code::DeadlineExceeded, message)
        .in_path("start_timeout")
        .help("if it needs longer, raise the `start_timeout` of the composition");
    Some(Failure { diagnostics: vec![diagnostic], kind: ErrorKind::Timeout })
}

/// The platform in a message.
pub(super) fn subject(plan: &Plan) -> String {
    match plan.name() {
        "" => "the platform".to_owned(),
        name => format!("the platform \"{name}\""),
    }
}

/// The error of an undertaking that was given up, with what could not be undone.
pub(super) fn given_up(what: impl fmt::Display, mut fatal: Vec<Failure>, undone: Vec<Diagnostic>) -> Error {
    // A start that was given up because of another's failure is no news.
    let real = fatal.iter().filter(|failure| failure.kind != ErrorKind::Cancelled).count();
    if real > 0 {
        fatal.retain(|failure| failure.kind != ErrorKind::Cancelled);
    }
    let kind = fatal.first().map_or(ErrorKind::Cancelled, |failure| failure.kind);
    let message = match fatal.is_empty() {
        true => format!("{what}: it was cancelled"),
        false => what.to_string(),
    };
    let diagnostics = fatal.into_iter().flat_map(|failure| failure.diagnostics).chain(undone);
    Error::new(kind, message).with_diagnostics(diagnostics)
}

/// Starts the plugins at these positions, each after those it requires, and after those it uses as far as the plan has them
/// before it: when such a one does not start, it starts without. It stops starting at the first failure that the platform
/// cannot do without; what was started by then stays started.
pub(super) async fn start_all(
    stage: &Arc<Stage>,
    positions: BTreeSet<usize>,
    cancellation: &CancellationToken,
    outcome: &mut Outcome,
) {
    let steps = &stage.snapshot.plan.steps;
    let mut included = vec![false; steps.len()];
    positions.iter().for_each(|position| included[*position] = true);
    let followers = Followers::new(steps.len(), |position| steps[position].requires.iter().copied());
    let users = Followers::new(steps.len(), |position| {
        // Of those that use each other, the plan's order says who waits.
        steps[position].optional.iter().copied().filter(move |before| *before < position)
    });
    let mut waiting = vec![0usize; steps.len()];
    outcome.started.reserve(positions.len());
    for before in positions.iter().copied() {
        followers.of(before).iter().chain(users.of(before)).for_each(|position| waiting[*position] += 1);
    }
    // The first of the plan first.
    let mut ready: BinaryHeap<Reverse<usize>> =
        positions.iter().copied().filter(|position| waiting[*position] == 0).map(Reverse).collect();
    let mut tasks = Tasks::new(step::executor());
    let at_once = stage.snapshot.plan.options.max_concurrent_starts();
    loop {
        while outcome.fatal.is_empty() && !cancellation.is_cancelled() && tasks.running() < at_once {
            let Some(Reverse(position)) = ready.pop() else { break };
            let (stage, cancellation) = (stage.clone(), cancellation.clone());
            tasks.spawn(move || start_one(stage, position, cancellation));
        }
        let Some(ended) = tasks.next().await else { break };
        let (position, result) = match ended {
            Ok(ended) => ended,
            Err(payload) => {
                let message = format!("the start was interrupted: {}", panic_message(payload.as_ref()));
                outcome.fatal.push(Failure {
                    diagnostics: vec![Diagnostic::error(Code::Panicked, message)],
                    kind: ErrorKind::Internal,
                });
                cancellation.cancel();
                continue;
            }
        };
        // Whose waiting has an end with this.
        let mut over = |position: &usize| {
            // One that waits for nothing here is not of this round.
            if waiting[*position] > 0 {
                waiting[*position] -= 1;
                if waiting[*position] == 0 && included[*position] {
                    ready.push(Reverse(*position));
                }
            }
        };
        match result {
            Ok(warnings) => {
                outcome.started.push(position);
                outcome.warnings.extend(warnings);
                followers.of(position).iter().chain(users.of(position)).for_each(&mut over);
            }
            Err(failure) => {
                let cause = failure.diagnostics.first().map(|diagnostic| diagnostic.message.clone());
                let failed = outcome.failed.len();
                stage.note_failure(position, cause.unwrap_or_default(), outcome);
                match abandoned(stage, position, &followers, outcome) {
                    Some(dependent) if stage.can_do_without(position) => {
                        outcome.fatal.push(dependent_failure(&stage.snapshot, position, dependent, failure));
                        cancellation.cancel();
                    }
                    None if stage.can_do_without(position) => {
                        let given_up: BTreeSet<usize> = outcome.failed[failed..].iter().map(|(at, _)| *at).collect();
                        given_up.intersection(&positions).flat_map(|at| users.of(*at)).for_each(&mut over);
                    }
                    _ => {
                        outcome.fatal.push(failure);
                        cancellation.cancel();
                    }
                }
            }
        }
    }
}

/// Who comes after each step of a plan.
struct Followers {
    /// Where those of each step begin in `all`, and where those of the last one end.
    begin: Vec<usize>,
    all: Vec<usize>,
}

impl Followers {
    /// From what comes before each of the steps.
    fn new<I: Iterator<Item = usize>>(steps: usize, before: impl Fn(usize) -> I) -> Self {
        let mut begin = vec![0; steps + 1];
        (0..steps).flat_map(&before).for_each(|step| begin[step] += 1);
        let mut sum = 0;
        for begin in &mut begin {
            sum += *begin;
            *begin = sum;
        }
        let mut all = vec![0; sum];
        // From the last one on, so that each is filled down to where it begins.
        for position in (0..steps).rev() {
            for step in before(position) {
                begin[step] -= 1;
                all[begin[step]] = position;
            }
        }
        Followers { begin, all }
    }

    fn of(&self, step: usize) -> &[usize] {
        &self.all[self.begin[step]..self.begin[step + 1]]
    }
}

impl Stage {
    /// Whether callers can already see the slot that the plugin is published in, because it is in nobody's place.
    fn shows(&self, position: usize) -> bool {
        Arc::ptr_eq(&self.snapshot.slots[position], &self.snapshot.members[position].slot)
    }

    fn set_state(&self, position: usize, state: PluginState, cause: Option<String>) {
        if self.shows(position) {
            self.running.set_state(&self.snapshot.members[position], state, cause);
        }
    }

    fn can_do_without(&self, position: usize) -> bool {
        let may_fail = self.snapshot.plan.steps[position].on_failure == OnFailure::Continue;
        may_fail && !self.predecessors.contains_key(&position)
    }

    /// What is left of this time before the platform's own deadline.
    fn left(&self, own: Duration) -> Duration {
        self.deadline.map_or(own, |deadline| own.min(deadline.saturating_duration_since(Instant::now())))
    }

    /// Where the one is that gives something to the plugin.
    fn hands_over(&self, position: usize) -> Option<Arc<Slot>> {
        let before = self.predecessors.get(&position).cloned();
        before.filter(|_| self.snapshot.plan.steps[position].registration.metadata().swap == SwapKind::Handover)
    }

    fn note_failure(&self, position: usize, cause: String, outcome: &mut Outcome) {
        self.set_state(position, PluginState::Failed, Some(cause.clone()));
        outcome.failed.push((position, cause));
    }
}

/// Marks everything that requires a failed plugin as failed. Returns one that the platform cannot do without.
fn abandoned(stage: &Stage, failed: usize, followers: &Followers, outcome: &mut Outcome) -> Option<usize> {
    let steps = &stage.snapshot.plan.steps;
    let mut needed = None;
    let mut pending = followers.of(failed).to_vec();
    while let Some(position) = pending.pop() {
        // What runs keeps the one it requires.
        if !stage.touched.contains(&position) {
            continue;
        }
        let cause = format!("`{}` did not start", steps[failed].id);
        stage.note_failure(position, cause, outcome);
        if !stage.can_do_without(position) {
            needed = Some(position);
        }
        pending.extend(followers.of(position));
    }
    needed
}

fn dependent_failure(snapshot: &Snapshot, failed: usize, dependent: usize, mut failure: Failure) -> Failure {
    let (step, before) = (&snapshot.plan.steps[dependent], &snapshot.plan.steps[failed]);
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

/// Starts one plugin, and publishes it in its slot of the stage.
pub(super) async fn start_one(
    stage: Arc<Stage>,
    position: usize,
    cancellation: CancellationToken,
) -> (usize, Result<Vec<Diagnostic>, Failure>) {
    stage.set_state(position, PluginState::Starting, None);
    let result = match initialize(&stage, position, &cancellation).await {
        Ok((instance, warnings)) => {
            // Nothing was there before that could need draining.
            let _ = stage.snapshot.slots[position].publish(instance);
            stage.set_state(position, PluginState::Running, None);
            Ok(warnings)
        }
        Err(failure) => Err(failure),
    };
    (position, result)
}

/// Starts a plugin, several times if the composition wants that and the failure may pass.
async fn initialize(
    stage: &Stage,
    position: usize,
    cancellation: &CancellationToken,
) -> Result<(Instance, Vec<Diagnostic>), Failure> {
    let step = &stage.snapshot.plan.steps[position];
    // What few plugins need has a box of its own: there are as many of these futures as plugins start at once.
    match step.retry {
        None => attempt(stage, position, stage.left(step.start_timeout), cancellation).await,
        Some(retry) => Box::pin(attempts(stage, position, retry, cancellation)).await,
    }
}

/// Starts a plugin, again and again while the failure may pass.
async fn attempts(
    stage: &Stage,
    position: usize,
    retry: Retry,
    cancellation: &CancellationToken,
) -> Result<(Instance, Vec<Diagnostic>), Failure> {
    let step = &stage.snapshot.plan.steps[position];
    let began = Instant::now();
    let left = || stage.left(step.start_timeout.saturating_sub(began.elapsed()));
    let attempts = retry.max_attempts;
    let mut earlier: Vec<String> = Vec::new();
    let mut nth = 0;
    loop {
        nth += 1;
        let mut failure = match attempt(stage, position, left(), cancellation).await {
            Ok(started) => return Ok(started),
            Err(failure) => failure,
        };
        let pause = retry.pause(nth);
        let may_pass = retry.covers(failure.kind) && !cancellation.is_cancelled();
        let message = failure.diagnostics.first().map_or(String::new(), |diagnostic| diagnostic.message.clone());
        let note = format!("attempt {nth} of {attempts}: {message}");
        if may_pass && nth < attempts && pause < left() {
            stage.set_state(position, PluginState::Starting, Some(note.clone()));
            if cancellation.run_until_cancelled(sleep(pause)).await.is_some() {
                earlier.push(note);
                continue;
            }
        }
        if let Some(diagnostic) = failure.diagnostics.first_mut() {
            for note in earlier {
                diagnostic.related.push(Related { message: note, location: None });
            }
            if may_pass && nth < attempts {
                let spent = format!("attempt {nth} of {attempts} was the last within its `start_timeout`");
                diagnostic.related.push(Related { message: spent, location: None });
            }
        }
        return Err(failure);
    }
}

/// Starts a plugin once, and measures it.
async fn attempt(
    stage: &Stage,
    position: usize,
    limit: Duration,
    cancellation: &CancellationToken,
) -> Result<(Instance, Vec<Diagnostic>), Failure> {
    let mut timer = stage.snapshot.members[position].meter.start("initialize");
    let started = attempt_once(stage, position, limit, &timer, cancellation).await;
    timer.stop(started.is_ok());
    started
}

async fn attempt_once(
    stage: &Stage,
    position: usize,
    limit: Duration,
    timer: &Timer,
    cancellation: &CancellationToken,
) -> Result<(Instance, Vec<Diagnostic>), Failure> {
    let snapshot = &stage.snapshot;
    let step = &snapshot.plan.steps[position];
    let failure = |error: StepError, doing: &str, code: Code| {
        let error = match error {
            // The platform's deadline, of which the platform speaks.
            StepError::Deadline(_) if stage.deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                StepError::Cancelled
            }
            // All attempts together.
            StepError::Deadline(_) if doing == "start" => StepError::Deadline(step.start_timeout),
            error => error,
        };
        let mut diagnostics =
            vec![error.diagnostic(&step.id, doing, code).at(step.location.as_ref()).in_path(&step.path)];
        if let (StepError::Deadline(_), Some(diagnostic)) = (&error, diagnostics.last_mut()) {
            diagnostic.help.push("if it needs longer, raise its `start_timeout`".to_owned());
        }
        if let StepError::Failed(inner) = &error {
            diagnostics.extend(inner.diagnostics().iter().cloned());
        }
        Failure { diagnostics, kind: error.kind() }
    };
    let id: Arc<str> = step.id.as_str().into();
    // In a block of its own, so that none of it has room in the future while the plugin starts.
    let (start, given) = {
        let resolved = match step.secrets.is_empty() {
            true => Resolved::new(),
            false => Box::pin(secrets(snapshot, step, limit, cancellation)).await?,
        };
        let handover = match stage.hands_over(position) {
            None => Handover::new(),
            Some(slot) => Box::pin(hand_over(step, slot, cancellation))
                .await
                .map_err(|error| failure(error, "hand over to its successor", Code::HandOverFailed))?,
        };
        let view = if stage.change { Arc::downgrade(snapshot) } else { Weak::new() };
        let peers = PlatformPeers::of(&stage.running, view, step, id.clone());
        let cx = InitContext::new(id.clone(), peers, cancellation.clone()).with_handover(handover);
        // What the successor does not take is not kept by a context that it keeps.
        let given = cx.clone();
        let start = step
            .registration
            .start(&step.config, snapshot.plan.variables.as_ref(), &resolved, &step.path, cx)
            .map_err(|diagnostics| Failure { diagnostics, kind: ErrorKind::Invalid })?;
        (start, given)
    };
    let deadline = step.stop_timeout;
    let started = step::run(limit, cancellation, timer.around(start), move |late| discard(id, late, deadline)).await;
    given.drop_handover();
    let instance = started.map_err(|error| failure(error, "start", Code::StartFailed))?;
    let member = &snapshot.members[position];
    // Whoever publishes it finds its voice there.
    let instance = given.status().attach(instance).measured(member.meter.clone(), step.measure);
    member.guard(step, &instance);
    match stage.change {
        true => Box::pin(check(step, instance, cancellation)).await,
        false => Ok((instance, Vec::new())),
    }
}

/// What the plugin that runs gives to the one that is to take its place.
async fn hand_over(step: &Step, slot: Arc<Slot>, cancellation: &CancellationToken) -> Result<Handover, StepError> {
    let ask = async move { lifecycle(&*slot.lease()?)?.hand_over().await };
    step::run(step.start_timeout, cancellation, ask, |_| async {}).await
}

/// Asks a plugin how it is before callers get to it. One that is unhealthy is stopped again.
async fn check(
    step: &Step,
    instance: Instance,
    cancellation: &CancellationToken,
) -> Result<(Instance, Vec<Diagnostic>), Failure> {
    let place = |diagnostic: Diagnostic| diagnostic.at(step.location.as_ref()).in_path(&step.path);
    let asked = match lifecycle(&instance) {
        Ok(plugin) => step::run(HEALTH_TIMEOUT, cancellation, async move { plugin.health().await }, |_| async {}).await,
        Err(error) => Err(StepError::Failed(error)),
    };
    let (kind, diagnostic) = match asked {
        Ok(health) if health.status == HealthStatus::Healthy => return Ok((instance, Vec::new())),
        Ok(health) if health.status == HealthStatus::Degraded => {
            let message = format!("`{}` started and is degraded: {}", step.id, health.message);
            return Ok((instance, vec![place(Diagnostic::warning(Code::Unhealthy, message))]));
        }
        Ok(health) => {
            let message = format!("`{}` started and is unhealthy: {}", step.id, health.message);
            (ErrorKind::Failed, Diagnostic::error(Code::Unhealthy, message))
        }
        Err(error) => (error.kind(), error.diagnostic(&step.id, "say how it is", Code::Unhealthy)),
    };
    let mut diagnostics = vec![place(diagnostic)];
    diagnostics.extend(stop::shutdown(&step.id, &instance, step.stop_timeout).await.map(place));
    diagnostics.extend(stop::release(&step.id, instance, step.stop_timeout).await.map(place));
    Err(Failure { diagnostics, kind })
}

/// Stops a plugin that got ready after its start had been given up.
async fn discard(id: Arc<str>, instance: Instance, deadline: Duration) {
    let stopped = stop::shutdown(&id, &instance, deadline).await;
    for diagnostic in stopped.into_iter().chain(stop::release(&id, instance, deadline).await) {
        eprintln!("mlx: {}", diagnostic);
    }
}

/// Fetches the secrets that other plugins resolve.
async fn secrets(
    snapshot: &Snapshot,
    step: &Step,
    limit: Duration,
    cancellation: &CancellationToken,
) -> Result<Resolved, Failure> {
    let mut resolved = Resolved::new();
    for deferred in &step.secrets {
        let slot = snapshot.slots[deferred.resolver].clone();
        let key = deferred.reference.key.clone();
        let fetch = async move {
            let resolver = Handle::<dyn Security>::new(slot)?;
            resolver.secret(&key).await
        };
        match step::run(limit, cancellation, fetch, |_| async {}).await {
            Ok(secret) => {
                resolved.insert(deferred.reference.clone(), secret.into_inner());
            }
            // The reference has a default: that is what it is for.
            Err(StepError::Failed(error))
                if deferred.reference.default.is_some() && error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let resolver = &snapshot.plan.steps[deferred.resolver].id;
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
    let (name, stop) = (Arc::<str>::from(id), deadline);
    step::run(deadline, &CancellationToken::new(), start, move |late| discard(name, late, stop))
        .await
        .map_err(|error| error.into_error(id, "start"))
}

/// A plugin as what the platform drives.
pub(super) fn lifecycle(instance: &Instance) -> Result<Arc<dyn Lifecycle>> {
    instance.get::<dyn Lifecycle>().cloned().ok_or_else(|| Error::internal("the plugin has no life cycle"))
}
