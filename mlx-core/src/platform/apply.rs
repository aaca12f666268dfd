//! Changing a running platform: everything that a new composition asks for, or nothing.

use super::{
    difference::{Difference, Why, Wishes},
    running::{Member, Running, Snapshot},
    start::{self, Failure, Outcome, Stage},
    status::PluginState,
    stop::{self, Stopped},
};
use crate::{
    composition::{Composition, Plan, PluginEntry, Step},
    diagnostics::{Code, Diagnostic, Error, ErrorKind, Result, Severity, SourceKind, listing},
    handle::{Retired, Slot},
    plugin::SwapKind,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::SystemTime,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a change did to a platform. Plugins are named by type and id: `data_source/sqlite`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Applied {
    /// Plugins that were not there or did not run before, in the order in which they got ready.
    pub started: Vec<String>,
    /// Plugins whose successor took over without losing a call, in the order in which the successors got ready.
    pub swapped: Vec<String>,
    /// Plugins that cannot run twice: they were stopped before their successor started, and calls in between failed.
    pub restarted: Vec<String>,
    /// Plugins that are no longer there, in the order in which they were stopped.
    pub stopped: Vec<String>,
    /// Plugins that were not touched, in the order of the plan.
    pub unchanged: Vec<String>,
    /// Those of `unchanged` for which only deadlines, policies for calls, `default`, `measure` or `on_failure` are others now.
    pub adjusted: Vec<String>,
    /// Why, for everything that was started, swapped, restarted or stopped.
    pub why: BTreeMap<String, Why>,
    /// Where another plugin took an id: the names of the one before it and of the one that has it now.
    pub successors: BTreeMap<String, (&'static str, &'static str)>,
    /// Calls and streams that were still in flight when a drain's deadline had passed, and were cancelled.
    pub cancelled_calls: usize,
    /// What should be known although it did not stop the change: warnings of the composition, plugins that are
    /// degraded or did not start where that is allowed, and what the instances that were replaced reported when they
    /// were stopped.
    pub warnings: Vec<Diagnostic>,
}

impl Applied {
    /// Whether nothing was started, replaced or stopped.
    pub fn is_unchanged(&self) -> bool {
        self.why.is_empty()
    }
}

/// A line for each plugin that was touched or is treated otherwise, and the number of those that were not.
impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = [
            ("started", &self.started),
            ("swapped", &self.swapped),
            ("restarted", &self.restarted),
            ("stopped", &self.stopped),
        ];
        for (what, labels) in done {
            for label in labels {
                write!(f, "{what} {label}")?;
                if let Some(why) = self.why.get(label) {
                    write!(f, ": {why}")?;
                }
                if let Some((before, now)) = self.successors.get(label) {
                    write!(f, " ({before} → {now})")?;
                }
                writeln!(f)?;
            }
        }
        for label in &self.adjusted {
            writeln!(f, "adjusted {label}: it runs on with other options")?;
        }
        writeln!(f, "unchanged: {}", self.unchanged.len())?;
        if self.cancelled_calls > 0 {
            writeln!(f, "calls that did not finish in time and were cancelled: {}", self.cancelled_calls)?;
        }
        Ok(())
    }
}

/// What the platform is to become.
pub(super) struct Target {
    pub(super) composition: Composition,
    pub(super) wishes: Wishes,
    /// What to say when the composition cannot be: the plugin that is being removed, with its position in the plan.
    pub(super) removing: Option<usize>,
}

/// Makes a target from what runs when it is the change's turn.
pub(super) type Request = Box<dyn FnOnce(&Plan) -> Result<Target> + Send>;

/// Waits for its turn, and changes the platform. Everything up to the publication ends early when it is cancelled,
/// and is undone; what comes after it is finished.
pub(super) async fn apply(
    running: &Arc<Running>,
    request: Request,
    cancellation: CancellationToken,
) -> Result<Applied> {
    let turn = running.changes.clone().lock_owned();
    let turn = cancellation.run_until_cancelled(turn).await;
    let (Some(_turn), false) = (turn, cancellation.is_cancelled()) else { return Err(not_begun(running)) };
    let now = running.snapshot();
    let target = request(&now.plan)?;
    let plan = now.plan.registry.resolve(&target.composition).map_err(|error| match target.removing {
        Some(position) => still_required(&now.plan, position, error),
        None => error.map_diagnostics(|found| layered(&now.plan, &target.composition, found)),
    })?;
    let change = Change::prepare(running, now, plan, &target.wishes);
    change.carry_out(cancellation).await
}

fn not_begun(running: &Running) -> Error {
    match running.closing.is_cancelled() {
        true => Error::stopped("the platform has been shut down and cannot be changed any more"),
        false => Error::cancelled("the change was given up before it began"),
    }
}

/// Says of a mistake in a layer over a plugin that the layer was there for the one that has run under its id.
fn layered(plan: &Plan, composition: &Composition, found: Diagnostic) -> Diagnostic {
    let Some(source) = found.location.as_ref().map(|location| location.source.clone()) else { return found };
    let (what, away) = match source.kind() {
        SourceKind::Environment => ("the environment variable", "unset it"),
        SourceKind::Override => ("the override", "leave it out"),
        SourceKind::Text => return found,
    };
    let entries = composition.plugins().iter().filter(|entry| entry.enabled);
    let about = |entry: &&PluginEntry| {
        let rest = found.path.as_deref().and_then(|path| path.strip_prefix(entry.path.as_str()));
        rest.is_some_and(|rest| rest.starts_with(".config"))
    };
    let Some(entry) = entries.clone().find(about) else { return found };
    let mut steps = plan.steps.iter();
    let was = steps.find(|step| step.id == entry.id() && step.registration.metadata().kind.name == entry.kind.as_str());
    match was.map(|step| step.registration.metadata().name) {
        Some(was) if was != entry.name.as_str() => {
            let id = entry.id();
            found.help(format!(
                "{what} was there for `{was}`, which runs as `{id}`: {away} to put `{}` there",
                *entry.name
            ))
        }
        _ => found,
    }
}

/// Why a plugin cannot be taken out.
fn still_required(plan: &Plan, position: usize, error: Error) -> Error {
    let step = &plan.steps[position];
    let dependents = plan.steps.iter().filter(|other| other.requires.contains(&position));
    let mut found: Vec<Diagnostic> = dependents
        .map(|other| {
            let message = format!("`{}` cannot be stopped: `{}` requires it", step.id, other.id);
            Diagnostic::error(Code::StillRequired, message)
                .at(other.location.as_ref())
                .in_path(&other.path)
                .help(format!("stop `{}` first, or apply a composition that has neither", other.id))
        })
        .collect();
    if found.is_empty() {
        return error;
    }
    found.extend(error.diagnostics().iter().filter(|diagnostic| !diagnostic.is_error()).cloned());
    Error::from_diagnostics(format_args!("the stop of `{}`", step.id), found)
}

/// A change that has been thought through and not begun.
struct Change {
    running: Arc<Running>,
    old: Arc<Snapshot>,
    /// What the platform will be. Its slots are the members' own.
    next: Snapshot,
    /// Positions in the old plan of what is in the new one, by position there.
    before: Vec<Option<usize>>,
    difference: Difference,
    /// Positions in the new plan of what replaces one that runs.
    replaces: BTreeSet<usize>,
    /// Positions in the new plan of what takes over from a plugin that has to stop first.
    restarts: BTreeSet<usize>,
    /// Positions in the new plan of what gets ready where nobody sees it.
    staged: BTreeSet<usize>,
    stage: Arc<Stage>,
    /// What runs, the first started first.
    runs: Vec<Arc<Member>>,
}

/// What a change has done so far.
#[derive(Default)]
struct Progress {
    outcome: Outcome,
    /// Positions in the old plan of plugins that were stopped for their successors, in the order of their stop.
    paused: Vec<usize>,
    applied: Applied,
}

impl Change {
    fn prepare(running: &Arc<Running>, old: Arc<Snapshot>, plan: Plan, wishes: &Wishes) -> Self {
        let before: Vec<Option<usize>> =
            plan.steps.iter().map(|step| old.position_by_key(step.registration.metadata().kind, &step.id)).collect();
        // Handles to a plugin that was taken out find the one that comes back under its id.
        let mut returns = BTreeSet::new();
        let now = SystemTime::now();
        let mut member = |(at, (step, before)): (usize, (&Step, &Option<usize>))| match before {
            Some(before) => old.members[*before].clone(),
            None => Arc::new(match running.vacant(&step.label) {
                Some(slot) => {
                    returns.insert(at);
                    Member::at(step, slot, now)
                }
                None => Member::new(step, now),
            }),
        };
        let members = plan.steps.iter().zip(&before).enumerate().map(&mut member).collect();
        let mut next = Snapshot::new(plan, members);
        let runs = running.started();
        let running_before: BTreeSet<usize> = runs.iter().filter_map(|member| old.position_of(member)).collect();
        let difference =
            Difference::between(&old, &next, &before, |position| running_before.contains(&position), wishes);
        // What runs on has the settings that it was started with, whatever its references stand for by now.
        next.keep_effective(&old, |at| before[at].filter(|_| !difference.touched.contains_key(&at)));
        let touched = || difference.touched.keys().copied();
        let replaces: BTreeSet<usize> =
            touched().filter(|at| before[*at].is_some_and(|before| running_before.contains(&before))).collect();
        let swap = |step: &Step| step.registration.metadata().swap;
        let replaced = replaces.iter().filter_map(|at| before[*at].map(|before| (*at, before)));
        let succeeded: BTreeMap<usize, usize> = replaced.chain(difference.renamed.clone()).collect();
        let restarts = succeeded.iter().filter(|(at, before)| {
            swap(&next.plan.steps[**at]) == SwapKind::Restart || swap(&old.plan.steps[**before]) == SwapKind::Restart
        });
        let restarts = restarts.map(|(at, _)| *at).collect();
        let predecessors = succeeded.iter().map(|(at, before)| (*at, old.members[*before].slot.clone())).collect();
        // What is in nobody's place is invisible until the change is published; the others get ready beside the one
        // they replace.
        let staged: BTreeSet<usize> = touched().filter(|at| before[*at].is_some() || returns.contains(at)).collect();
        let slots = (0..next.members.len()).map(|at| {
            let member = &next.members[at];
            match staged.contains(&at) {
                true => Arc::new(Slot::new(member.label())),
                false => member.slot.clone(),
            }
        });
        let snapshot = Arc::new(next.with_slots(slots.collect()));
        let touched = touched().collect();
        let stage =
            Arc::new(Stage { running: running.clone(), snapshot, change: true, touched, predecessors, deadline: None });
        Change { running: running.clone(), old, next, before, difference, replaces, restarts, staged, stage, runs }
    }

    async fn carry_out(self, cancellation: CancellationToken) -> Result<Applied> {
        let mut progress = Progress::default();
        progress.applied.warnings.extend(self.next.plan.warnings().iter().cloned());
        let late = self.late();
        let early = self.difference.touched.keys().copied().filter(|position| !late.contains(position)).collect();
        start::start_all(&self.stage, early, &cancellation, &mut progress.outcome).await;
        if !late.is_empty() {
            self.pause(&mut progress, &cancellation).await;
            let failed: BTreeSet<usize> = progress.outcome.failed.iter().map(|(position, _)| *position).collect();
            let late = late.difference(&failed).copied().collect();
            start::start_all(&self.stage, late, &cancellation, &mut progress.outcome).await;
        }
        if !progress.outcome.fatal.is_empty() || cancellation.is_cancelled() {
            return Err(self.undo(progress).await);
        }
        Ok(self.publish(progress).await)
    }

    /// What cannot start before the plugins that have to stop for their successors have stopped: the successors, and
    /// what is to find them running.
    fn late(&self) -> BTreeSet<usize> {
        let mut late = self.restarts.clone();
        if late.is_empty() {
            return late;
        }
        let steps = &self.next.plan.steps;
        for position in self.difference.touched.keys().copied() {
            let metadata = steps[position].registration.metadata();
            let finds = |other: &usize| {
                *other < position
                    && (steps[position].requires.contains(other) || steps[*other].may_be_reached_by(metadata))
            };
            if late.iter().any(finds) {
                late.insert(position);
            }
        }
        late
    }

    /// Stops what has to stop for its successor, the last started first.
    async fn pause(&self, progress: &mut Progress, cancellation: &CancellationToken) {
        let before = |position: &usize| self.before[*position].or(self.difference.renamed.get(position).copied());
        let paused: BTreeSet<usize> = self.restarts.iter().filter_map(before).collect();
        for member in self.runs.iter().rev() {
            let Some(position) = self.old.position_of(member).filter(|position| paused.contains(position)) else {
                continue;
            };
            if !progress.outcome.fatal.is_empty() || cancellation.is_cancelled() {
                return;
            }
            progress.paused.push(position);
            let stopped = self.stop(member, &self.old.plan.steps[position]).await;
            progress.note(stopped, &self.old.plan.steps[position]);
        }
    }

    async fn stop(&self, member: &Member, step: &Step) -> Stopped {
        self.running.set_state(member, PluginState::Stopping, None);
        let stopped = stop::stop_slot(&step.id, &member.slot, step.stop_timeout).await;
        let cause = stopped.found.first().map(|diagnostic| diagnostic.message.clone());
        self.running.set_state(member, PluginState::Stopped, cause);
        stopped
    }

    /// Takes everything back: stops what is new, the last started first, and starts again what was stopped for it.
    async fn undo(self, progress: Progress) -> Error {
        let Progress { outcome, paused, .. } = progress;
        let mut undone = Vec::new();
        for position in outcome.started.iter().rev() {
            let step = &self.next.plan.steps[*position];
            let slot = &self.stage.snapshot.slots[*position];
            let stopped = stop::stop_slot(&step.id, slot, step.stop_timeout).await;
            undone.extend(stopped.found.into_iter().map(|found| placed(found, step)));
        }
        let mut lost = Vec::new();
        for position in paused.into_iter().rev() {
            // The last stopped was the first started.
            if let Err(failure) = self.restore(position).await {
                lost.push(self.old.members[position].label().to_owned());
                undone.extend(failure.diagnostics);
            }
        }
        let subject = start::subject(&self.next.plan);
        let what = match lost.as_slice() {
            [] => format!("{subject} was not changed"),
            lost => format!("{subject} was not changed, and runs without {}", listing(lost.iter().map(String::as_str))),
        };
        let only_cancelled = outcome.fatal.iter().all(|failure| failure.kind == ErrorKind::Cancelled);
        match self.running.closing.is_cancelled() && only_cancelled {
            true => {
                Error::stopped(format!("{subject} was not changed: it is being shut down")).with_diagnostics(undone)
            }
            false => start::given_up(what, outcome.fatal, undone),
        }
    }

    /// Starts a plugin again, as it ran before.
    async fn restore(&self, position: usize) -> Result<(), Failure> {
        let (member, step) = (&self.old.members[position], &self.old.plan.steps[position]);
        if self.running.closing.is_cancelled() {
            // It would be stopped at once.
            self.forget(member);
            return Ok(());
        }
        let (running, snapshot) = (self.running.clone(), self.old.clone());
        let (touched, predecessors) = (BTreeSet::from([position]), BTreeMap::new());
        let stage = Stage { running, snapshot, change: false, touched, predecessors, deadline: None };
        let cancellation = self.running.closing.child_token();
        let (_, result) = start::start_one(Arc::new(stage), position, cancellation).await;
        result.map(|_| ()).map_err(|mut failure| {
            let cause = failure.diagnostics.first().map(|diagnostic| diagnostic.message.clone());
            self.running.set_state(member, PluginState::Failed, cause);
            self.forget(member);
            let message = format!("`{}` was stopped for its successor, and did not start again as it was", step.id);
            let lost = Diagnostic::error(Code::RestoreFailed, message)
                .help("it does not run: mend the cause below, and apply a composition");
            failure.diagnostics.insert(0, placed(lost, step));
            failure
        })
    }

    /// Notes that a plugin is not among those that run.
    fn forget(&self, member: &Arc<Member>) {
        let runs = self.running.started().into_iter().filter(|other| !Arc::ptr_eq(other, member));
        self.running.set_started(runs.collect());
    }

    /// Lets callers get to what is new, all at once; then drains and stops what was replaced or removed.
    async fn publish(self, progress: Progress) -> Applied {
        let Change { running, old, next, before, difference, replaces, restarts, staged, stage, runs } = self;
        let Progress { outcome, mut applied, .. } = progress;
        let Outcome { started, failed, warnings, .. } = outcome;
        applied.warnings.extend(warnings);
        let label = |position: &usize| next.members[*position].label().to_owned();
        let steps = &next.plan.steps;
        applied.unchanged = (0..steps.len())
            .filter(|position| !difference.touched.contains_key(position))
            .map(|at| label(&at))
            .collect();
        applied.adjusted = difference.adjusted.iter().map(label).collect();
        for position in &started {
            let list = match (restarts.contains(position), replaces.contains(position)) {
                (true, _) => &mut applied.restarted,
                (false, true) => &mut applied.swapped,
                (false, false) => &mut applied.started,
            };
            list.push(label(position));
            applied.why.insert(label(position), difference.touched[position]);
            let name = |step: &Step| step.registration.metadata().name;
            if let (Why::Plugin, Some(before)) = (difference.touched[position], before[*position]) {
                applied.successors.insert(label(position), (name(&old.plan.steps[before]), name(&steps[*position])));
            }
        }
        for (position, cause) in &failed {
            let step = &steps[*position];
            let message = format!("the platform runs without `{}`: {cause}", step.id);
            applied.warnings.push(placed(Diagnostic::warning(Code::StartFailed, message), step));
        }
        let ready: BTreeSet<usize> = started.iter().copied().collect();
        let keeps = |position: &usize| !difference.touched.contains_key(position) || ready.contains(position);
        let now_run = (0..steps.len()).filter(keeps).map(|position| next.members[position].clone()).collect();
        let mut retired: Vec<(usize, Retired)> = Vec::new();
        let plan = next.plan.clone();
        let members = next.members.clone();
        running.exchange(next, || {
            for position in started.iter().filter(|position| staged.contains(position)) {
                let old = stage.snapshot.slots[*position].merge_into(&members[*position].slot);
                retired.extend(before[*position].zip(old));
            }
        });
        for position in &difference.adjusted {
            running.adjust(&members[*position], &plan.steps[*position]);
        }
        running.set_started(now_run);
        for position in started.iter().filter(|position| staged.contains(position)) {
            running.set_replaced(&members[*position], &plan.steps[*position]);
        }
        for (position, cause) in failed.into_iter().filter(|(position, _)| staged.contains(position)) {
            running.set_state(&members[position], PluginState::Failed, Some(cause));
        }
        // From here on, contexts find what everybody finds.
        drop(stage);
        retire(&running, &old, &runs, &difference.removed, retired, &mut applied).await;
        applied
    }
}

/// Drains what was replaced and what was removed, and stops it, the last started first.
async fn retire(
    running: &Running,
    old: &Snapshot,
    runs: &[Arc<Member>],
    removed: &BTreeSet<usize>,
    retired: Vec<(usize, Retired)>,
    applied: &mut Applied,
) {
    // What was replaced gets no new calls, so that all of it can be drained at the same time.
    let mut drains: HashMap<usize, JoinHandle<(Retired, Stopped)>> = HashMap::new();
    for (position, retired) in retired {
        let step = &old.plan.steps[position];
        let (id, deadline) = (step.id.clone(), step.stop_timeout);
        drains.insert(
            position,
            tokio::spawn(async move {
                let stopped = stop::drain(&id, &retired, deadline).await;
                (retired, stopped)
            }),
        );
    }
    for member in runs.iter().rev() {
        let Some(position) = old.position_of(member) else { continue };
        let step = &old.plan.steps[position];
        let stopped = if let Some(drain) = drains.remove(&position) {
            match drain.await {
                Ok((retired, mut stopped)) => {
                    stopped.found.extend(stop::shutdown(&step.id, retired.instance(), step.stop_timeout).await);
                    stopped.found.extend(stop::release(&step.id, retired, step.stop_timeout).await);
                    stopped
                }
                Err(error) => {
                    let message = format!("the drain of `{}` was interrupted: {error}", step.id);
                    Stopped { found: vec![Diagnostic::error(Code::StopFailed, message)], cancelled: 0 }
                }
            }
        } else if removed.contains(&position) {
            // Only now: what is stopped before it may still call it.
            running.set_state(member, PluginState::Stopping, None);
            let stopped = stop::stop_slot(&step.id, &member.slot, step.stop_timeout).await;
            running.set_state(member, PluginState::Stopped, None);
            running.vacate(member);
            applied.stopped.push(member.label().to_owned());
            applied.why.insert(member.label().to_owned(), Why::Removed);
            stopped
        } else {
            continue;
        };
        note(applied, stopped, step);
    }
}

/// The change is done whatever its predecessors say at their end: so that is a warning.
fn note(applied: &mut Applied, stopped: Stopped, step: &Step) {
    applied.cancelled_calls += stopped.cancelled;
    let warning = |found: Diagnostic| Diagnostic { severity: Severity::Warning, ..placed(found, step) };
    applied.warnings.extend(stopped.found.into_iter().map(warning));
}

impl Progress {
    fn note(&mut self, stopped: Stopped, step: &Step) {
        note(&mut self.applied, stopped, step);
    }
}

fn placed(diagnostic: Diagnostic, step: &Step) -> Diagnostic {
    diagnostic.at(step.location.as_ref()).in_path(&step.path)
}
