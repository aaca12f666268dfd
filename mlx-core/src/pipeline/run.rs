//! Running a pipeline.

use super::{
    Pipeline, PipelineEventKind, PipelineEvents,
    attempt::{AFTER_CANCEL, Action, Attempts, Ended, Outcome},
    check::{Checked, check, unknown},
    document::{OnFailure, Step, Work},
    event::Events,
    record::{self, History, Identity, Record, Writer, fingerprint},
    reference::{Fault, Reference, Target, render},
    result::{PipelineResult, StepResult, StepState, delivered},
    resume,
};
use crate::{
    diagnostics::{Code, Diagnostic, Error, ErrorKind, Result},
    plugin::{ComponentStatus, ExecutionContext, Peers, PluginStatus},
};
use serde_json::{Map, Value as Json};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fmt,
    future::{Future, IntoFuture},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// A run that is about to begin; it begins when it is awaited:
///
/// ```no_run
/// # use mlx_core::{pipeline::Pipeline, prelude::*};
/// # async fn example(platform: &Platform) -> Result<()> {
/// let pipeline = Pipeline::from_path("nightly.yaml")?;
/// let result = platform.run(&pipeline).record("nightly.jsonl").await?.into_result()?;
/// println!("{result}");
/// # Ok(()) }
/// ```
///
/// The whole pipeline is checked first, and everything that is wrong with it is the error. Then each step runs as soon
/// as the steps that it waits for have succeeded, as many at the same time as the pipeline says; among steps that
/// could begin, the first in the pipeline does.
///
/// Dropping the future cancels every step.
#[must_use = "a run does nothing until it is awaited"]
pub struct PipelineRun {
    pipeline: Pipeline,
    peers: Arc<dyn Peers>,
    input: Json,
    context: ExecutionContext,
    record: Option<(PathBuf, Mode)>,
    events: Events,
}

enum Mode {
    Create,
    Resume,
}

impl PipelineRun {
    /// A run over the plugins that `peers` reaches. [`Platform::run`](crate::Platform::run) has those of a platform.
    pub fn new(pipeline: &Pipeline, peers: Arc<dyn Peers>) -> Self {
        PipelineRun {
            pipeline: pipeline.clone(),
            context: ExecutionContext::new().with_peers(peers.clone()),
            peers,
            input: Json::Null,
            record: None,
            events: Events::default(),
        }
    }

    /// Gives the run something: an object, whose keys replace those of the pipeline's own `input`.
    pub fn input(mut self, input: impl Into<Json>) -> Self {
        self.input = input.into();
        self
    }

    /// The run's id; one that resumes takes the id of its record when it begins.
    pub fn id(&self) -> &str {
        self.context.run_id()
    }

    /// Sets the run's id; it has a random one otherwise.
    pub fn run_id(mut self, id: impl Into<String>) -> Self {
        self.context = self.context.with_run_id(id);
        self
    }

    /// Sets the folder for files; each step has one of its name in it.
    pub fn artifacts(mut self, folder: impl Into<PathBuf>) -> Self {
        self.context = self.context.with_artifacts(folder);
        self
    }

    /// Sets the token that cancels the run. It ends when every running step has.
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.context = self.context.with_cancellation(token);
        self
    }

    /// Records the run in a file that does not exist yet: a line of JSON after each step, on the disk before anything
    /// that follows begins. The outputs of the steps are in it as they are, so they must not be secret.
    pub fn record(mut self, path: impl Into<PathBuf>) -> Self {
        self.record = Some((path.into(), Mode::Create));
        self
    }

    /// Continues the run of a record, and records on in it. Finished steps do not run again if their plugin, their
    /// input and whose data they take are what they were; if the pipeline was changed in that, nothing is run and the
    /// error says what has changed. What a step does cannot be compared: not the program of a function, not the
    /// settings of a plugin.
    ///
    /// A finished step does run again if a file it wrote is gone, if its input comes out differently because a step
    /// before it ran again, or if a step that has to run takes its typed data, which no record has.
    pub fn resume(mut self, path: impl Into<PathBuf>) -> Self {
        self.record = Some((path.into(), Mode::Resume));
        self
    }

    /// What happens, while it happens.
    pub fn with_events(mut self) -> (Self, PipelineEvents) {
        let (events, receiver) = Events::channel();
        self.events = events;
        (self, receiver)
    }

    /// Checks everything and runs nothing.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with everything that is wrong.
    pub fn check(&self) -> Result<()> {
        let input = self.merged_input()?;
        check(&self.pipeline, &self.plugins(), &input).map(|_| ())
    }

    /// The type and id of every plugin there is: `data_source/sqlite`.
    fn plugins(&self) -> Vec<String> {
        self.peers.statuses().iter().map(PluginStatus::label).collect()
    }

    fn merged_input(&self) -> Result<Map<String, Json>> {
        let object = |json: Json, whose: &str| match json {
            Json::Object(map) => Ok(map),
            Json::Null => Ok(Map::new()),
            _ => Err(Error::invalid(format!("{whose} is not an object"))),
        };
        let mut input = object(self.pipeline.input.to_json(), "the pipeline's own input")?;
        input.extend(object(self.input.clone(), "what the run is given")?);
        Ok(input)
    }

    async fn run(self) -> Result<PipelineResult> {
        tokio::runtime::Handle::try_current().map_err(|_| {
            Error::unsupported(
                "pipelines need a tokio runtime: use `mlx_core::block_on`, or `#[tokio::main]` on `main`",
            )
        })?;
        let input = self.merged_input()?;
        let checked = check(&self.pipeline, &self.plugins(), &input)?;
        let input = Json::Object(input);
        let mut context = self.context;
        let (name, run_id) = (self.pipeline.name.clone(), context.run_id().to_owned());
        let (record, history) = match self.record {
            None => (None, History::default()),
            Some((path, Mode::Create)) => {
                let record = record::blocking(move || Record::create(&path, &name, &run_id)).await?;
                (Some(record), History::default())
            }
            Some((path, Mode::Resume)) => {
                let (mut record, history) = record::blocking(move || Record::open(&path)).await?;
                let changes = resume::changes(&self.pipeline, &checked, &history, &input);
                if !changes.is_empty() {
                    return Err(Error::from_diagnostics(format!("the pipeline `{name}`"), changes));
                }
                if let Some((_, run)) = &history.begun {
                    context = context.with_run_id(run);
                }
                let fresh = history.begun.is_none();
                let record = record::blocking(move || {
                    if fresh {
                        record.start(&name, &run_id)?
                    } else {
                        record.resume()?
                    }
                    Ok(record)
                });
                (Some(record.await?), history)
            }
        };
        let must_run = resume::must_run(&self.pipeline, &checked, &history);
        let cancellation = context.cancellation().clone();
        let stop = cancellation.child_token();
        // Whoever drops the run ends what it began.
        let _guard = stop.clone().drop_guard();
        let mut runner = Runner {
            results: self.pipeline.steps.iter().map(pending).collect(),
            delivered: vec![None; self.pipeline.steps.len()],
            waiting: checked.requires.iter().map(Vec::len).collect(),
            followers: followers(&checked.requires),
            ready: BinaryHeap::new(),
            tasks: JoinSet::new(),
            identities: vec![None; self.pipeline.steps.len()],
            stopped: None,
            pipeline: &self.pipeline,
            checked: &checked,
            history,
            must_run,
            input,
            peers: self.peers,
            context: context.with_cancellation(stop.clone()),
            stop,
            record: Writer::new(record),
            events: self.events,
        };
        runner.run(&cancellation).await
    }
}

impl IntoFuture for PipelineRun {
    type Output = Result<PipelineResult>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for PipelineRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineRun").field("pipeline", &self.pipeline.name()).finish_non_exhaustive()
    }
}

/// Why no further step begins.
enum Stopped {
    Cancelled,
    Deadline,
    /// The step failed.
    Aborted(usize),
}

struct Runner<'p> {
    pipeline: &'p Pipeline,
    checked: &'p Checked,
    history: History,
    must_run: Vec<bool>,
    input: Json,
    peers: Arc<dyn Peers>,
    context: ExecutionContext,
    stop: CancellationToken,
    record: Writer,
    events: Events,
    results: Vec<StepResult>,
    /// What each step delivered, once it has succeeded.
    delivered: Vec<Option<Json>>,
    /// What the results of running steps depend on.
    identities: Vec<Option<Identity>>,
    /// How many steps each one still waits for.
    waiting: Vec<usize>,
    followers: Vec<Vec<usize>>,
    ready: BinaryHeap<Reverse<usize>>,
    tasks: JoinSet<(usize, Ended)>,
    stopped: Option<Stopped>,
}

impl Runner<'_> {
    async fn run(&mut self, cancellation: &CancellationToken) -> Result<PipelineResult> {
        let began = Instant::now();
        let end = self.pipeline.deadline.and_then(|deadline| began.checked_add(deadline));
        self.events.send(PipelineEventKind::Started { run_id: self.context.run_id().to_owned() });
        self.ready = (0..self.waiting.len()).filter(|position| self.waiting[*position] == 0).map(Reverse).collect();
        let outcome = self.steps(cancellation, end).await;
        if outcome.is_err() {
            // The record cannot be written: nothing more may happen.
            self.stop.cancel();
            let _ = self.drain(|_, _| {}).await;
        }
        outcome?;
        self.finish(began).await
    }

    /// Runs steps until none is left, or nothing may begin any more and nothing runs.
    async fn steps(&mut self, cancellation: &CancellationToken, end: Option<Instant>) -> Result<()> {
        loop {
            while self.stopped.is_none() && self.tasks.len() < self.pipeline.parallelism.value {
                if cancellation.is_cancelled() {
                    self.stopped = Some(Stopped::Cancelled);
                    break;
                }
                let Some(Reverse(position)) = self.ready.pop() else { break };
                self.begin(position).await?;
            }
            if self.stopped.is_some() {
                break;
            }
            if self.tasks.is_empty() {
                return Ok(());
            }
            let next = cancellation.run_until_cancelled(self.tasks.join_next());
            let next = match end {
                Some(end) => timeout_at(end, next).await,
                None => Ok(next.await),
            };
            match next {
                Err(_) => self.stopped = Some(Stopped::Deadline),
                Ok(None) => self.stopped = Some(Stopped::Cancelled),
                Ok(Some(Some(Ok((position, ended))))) => self.settle(position, ended).await?,
                Ok(Some(_)) => return Err(Error::cancelled("the runtime is shutting down")),
            }
        }
        self.stop.cancel();
        let mut ended = Vec::new();
        self.drain(|position, step| ended.push((position, step))).await;
        for (position, ended) in ended {
            self.settle(position, ended).await?;
        }
        Ok(())
    }

    /// Waits for the running steps, which have been cancelled.
    async fn drain(&mut self, mut ended: impl FnMut(usize, Ended)) {
        let until = Instant::now() + AFTER_CANCEL;
        while let Ok(Some(next)) = timeout_at(until, self.tasks.join_next()).await {
            if let Ok((position, step)) = next {
                ended(position, step);
            }
        }
        self.tasks.abort_all();
    }

    /// Begins a step, or settles it at once.
    async fn begin(&mut self, position: usize) -> Result<()> {
        let step = &self.pipeline.steps[position];
        let name = step.name().to_owned();
        let look_up = |name: &str| self.checked.by_name.get(name).and_then(|other| self.delivered[*other].as_ref());
        let input = match resolve_input(step, &self.input, &look_up) {
            Ok(input) => input,
            Err(found) => {
                let error = Error::invalid("its input cannot be made").with_diagnostics(found);
                return self.fail(position, error).await;
            }
        };
        let identity = identity(self.pipeline, self.checked, position, &input);
        if let Some(finished) = self.history.finished.get(&name)
            && !self.must_run[position]
            && finished.identity == identity
        {
            finished.restore(&mut self.results[position]);
            self.events.send(PipelineEventKind::StepRestored { step: name });
            self.succeeded(position);
            return Ok(());
        }
        self.identities[position] = Some(identity);
        let mut cx = self
            .context
            .clone()
            .with_input(input)
            .with_artifacts(self.context.artifacts().join(&name))
            .with_cancellation(self.stop.child_token())
            .with_metadata("pipeline", &self.pipeline.name)
            .with_metadata("step", &name);
        for other in &self.checked.data[position] {
            let source = &self.results[*other];
            let taken = match source.result.has_data() {
                false => Err(format!("the step `{}` delivered no typed data", source.name)),
                true => cx.adopt(&source.result).map_err(|kind| {
                    format!("the step `{}` delivers a `{kind}`, and so does another it takes data of", source.name)
                }),
            };
            if let Err(message) = taken {
                return self.fail(position, Error::invalid(message)).await;
            }
        }
        let action = match (&step.work, &self.checked.plugins[position]) {
            (Work::Call(call), _) => Action::Call(call.clone()),
            (Work::Plugin(_), Some(label)) => Action::Execute(self.peers.clone(), label.clone()),
            (Work::Plugin(id), None) => Action::Execute(self.peers.clone(), id.value.clone()),
        };
        self.results[position].state = StepState::Running;
        self.events.send(PipelineEventKind::StepStarted { step: name });
        let attempts = Attempts { step: step.clone(), action, cx, events: self.events.clone() };
        self.tasks.spawn(async move { (position, attempts.run().await) });
        Ok(())
    }

    /// Settles a step that could not even begin.
    async fn fail(&mut self, position: usize, error: Error) -> Result<()> {
        let ended = Ended { outcome: Outcome::Failed(error), attempts: 0, duration: Default::default() };
        self.settle(position, ended).await
    }

    /// Takes note of how a step ended, in the record first.
    async fn settle(&mut self, position: usize, ended: Ended) -> Result<()> {
        let step = &self.pipeline.steps[position];
        let name = step.name().to_owned();
        let identity = self.identities[position].take().unwrap_or_else(|| Identity {
            plugin: self.checked.plugins[position].clone().unwrap_or_default(),
            input: String::new(),
            data: Vec::new(),
        });
        self.record.append(|| record::step_line(&name, &identity, &ended)).await?;
        let reason = self.reason();
        let result = &mut self.results[position];
        (result.attempts, result.duration) = (ended.attempts, ended.duration);
        match ended.outcome {
            Outcome::Succeeded(delivered) => {
                result.result = delivered;
                self.events.send(PipelineEventKind::StepFinished { step: name, duration: ended.duration });
                self.succeeded(position);
            }
            Outcome::Failed(error) => {
                result.state = StepState::Failed;
                result.error_kind = Some(error.kind());
                // The findings have their own place in a report.
                result.error =
                    Some(if error.diagnostics().is_empty() { error.to_string() } else { format!("{error:#}") });
                result.diagnostics = error.diagnostics().to_vec();
                let (error, duration) = (error.to_string(), ended.duration);
                self.events.send(PipelineEventKind::StepFailed { step: name, error, duration });
                self.skip_followers(position);
                if step.on_failure == OnFailure::Abort && self.stopped.is_none() {
                    self.stopped = Some(Stopped::Aborted(position));
                }
            }
            Outcome::Cancelled => {
                result.state = StepState::Cancelled;
                result.error = Some(reason);
                self.events.send(PipelineEventKind::StepCancelled { step: name });
                self.skip_followers(position);
            }
        }
        Ok(())
    }

    fn succeeded(&mut self, position: usize) {
        let result = &mut self.results[position];
        result.state = StepState::Succeeded;
        self.delivered[position] = Some(delivered(&result.result));
        for follower in &self.followers[position] {
            self.waiting[*follower] -= 1;
            if self.waiting[*follower] == 0 {
                self.ready.push(Reverse(*follower));
            }
        }
    }

    fn skip_followers(&mut self, position: usize) {
        let mut open: BinaryHeap<Reverse<(usize, usize)>> = BinaryHeap::new();
        open.extend(self.followers[position].iter().map(|follower| Reverse((*follower, position))));
        while let Some(Reverse((follower, before))) = open.pop() {
            if self.results[follower].state != StepState::Pending {
                continue;
            }
            let how = match self.results[before].state {
                StepState::Skipped => "was skipped",
                StepState::Cancelled => "was cancelled",
                _ => "failed",
            };
            let reason = format!("it waits for `{}`, which {how}", self.results[before].name);
            self.skip(follower, reason);
            open.extend(self.followers[follower].iter().map(|next| Reverse((*next, follower))));
        }
    }

    fn skip(&mut self, position: usize, reason: String) {
        let result = &mut self.results[position];
        (result.state, result.error) = (StepState::Skipped, Some(reason.clone()));
        self.events.send(PipelineEventKind::StepSkipped { step: result.name.clone(), reason });
    }

    /// Why no further step begins.
    fn reason(&self) -> String {
        match &self.stopped {
            Some(Stopped::Deadline) => {
                format!("the pipeline did not end within {:?}", self.pipeline.deadline.unwrap_or_default())
            }
            Some(Stopped::Aborted(position)) => {
                format!("the pipeline was ended because `{}` failed", self.results[*position].name)
            }
            Some(Stopped::Cancelled) | None => "the pipeline was cancelled".to_owned(),
        }
    }

    async fn finish(&mut self, began: Instant) -> Result<PipelineResult> {
        let reason = self.reason();
        for position in 0..self.results.len() {
            match self.results[position].state {
                StepState::Pending => self.skip(position, reason.clone()),
                StepState::Running => {
                    let result = &mut self.results[position];
                    result.state = StepState::Cancelled;
                    result.error = Some(format!("{reason}; it had not noticed {AFTER_CANCEL:?} later"));
                    self.events.send(PipelineEventKind::StepCancelled { step: result.name.clone() });
                }
                _ => {}
            }
        }
        let failed = self.results.iter().find(|step| step.state == StepState::Failed);
        let why = failed
            .map(|step| format!("the step `{}` failed: {}", step.name, step.error.as_deref().unwrap_or_default()));
        let (status, error, kind) = match &self.stopped {
            _ if self.results.iter().all(|step| step.state == StepState::Succeeded) => {
                (ComponentStatus::Success, None, None)
            }
            Some(Stopped::Cancelled) => (ComponentStatus::Cancelled, Some(reason), Some(ErrorKind::Cancelled)),
            Some(Stopped::Deadline) => (ComponentStatus::Failed, Some(reason), Some(ErrorKind::Timeout)),
            _ => (ComponentStatus::Failed, why, failed.and_then(|step| step.error_kind)),
        };
        self.record.append(|| record::end_line(status.as_str(), error.as_deref())).await?;
        let duration = began.elapsed();
        self.events.send(PipelineEventKind::Finished { status, duration });
        Ok(PipelineResult {
            duration,
            steps: std::mem::take(&mut self.results),
            error,
            error_kind: kind,
            ..PipelineResult::new(&self.pipeline.name, self.context.run_id(), status)
        })
    }
}

fn pending(step: &Step) -> StepResult {
    StepResult {
        path: step.path.clone(),
        location: step.location.clone(),
        ..StepResult::new(step.name(), StepState::Pending)
    }
}

fn followers(requires: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut followers = vec![Vec::new(); requires.len()];
    for (position, before) in requires.iter().enumerate() {
        before.iter().for_each(|before| followers[*before].push(position));
    }
    followers
}

/// What the result of a step with this input depends on.
pub(super) fn identity(pipeline: &Pipeline, checked: &Checked, position: usize, input: &Json) -> Identity {
    let data = checked.data[position].iter().map(|other| pipeline.steps[*other].name().to_owned());
    Identity {
        plugin: checked.plugins[position].clone().unwrap_or_default(),
        input: fingerprint(input),
        data: data.collect(),
    }
}

/// The input of a step, made of what the run was given and what other steps delivered.
///
/// # Errors
/// Everything that is not there.
pub(super) fn resolve_input<'j>(
    step: &Step,
    given: &'j Json,
    delivered: &dyn Fn(&str) -> Option<&'j Json>,
) -> Result<Json, Vec<Diagnostic>> {
    let look_up = |reference: &Reference| {
        let target = match &reference.target {
            Target::Input => Some(given),
            Target::Step(name) => delivered(name),
        };
        let fault = |message, known| Fault { location: None, path: String::new(), message, known };
        let target = target.ok_or_else(|| fault(format!("`{reference}` is not there yet"), Vec::new()))?;
        reference.follow(target).cloned().map_err(|(key, known)| {
            let known = known.into_iter().map(str::to_owned).collect();
            fault(format!("`{reference}`: there is no `{key}`"), known)
        })
    };
    render(&step.input, &look_up).map_err(|faults| {
        let finding = |fault: Fault| {
            let name = fault.message.rsplit('`').nth(1).unwrap_or_default().to_owned();
            unknown(Code::UnknownOutput, fault.message, &name, fault.known.iter().map(String::as_str))
                .at(fault.location.as_ref())
                .in_path(format!("{}.input{}", step.path, fault.path))
        };
        faults.into_iter().map(finding).collect()
    })
}
