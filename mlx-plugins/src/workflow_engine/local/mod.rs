//! Runs pipelines in this process, a bounded number at a time.
//!
//! ```yaml
//! plugins:
//!   - type: workflow_engine
//!     name: local
//!     config:
//!       runs: 4
//!       queue: 16
//!       keep_results: 64
//!       records: /var/lib/mlx/runs
//! ```
//!
//! A pipeline is checked when it is submitted. It begins at once while fewer than `runs` others run, else it waits in
//! the order of submission; when the queue is full as well, [`submit`](WorkflowEngine::submit) answers
//! [`Unavailable`](ErrorKind::Unavailable). A result can be fetched as often as wanted until `keep_results` other runs have
//! ended after it; then its run is unknown.
//!
//! With `records`, each run is recorded in a file of that folder that is called like its id. It outlives the process:
//! [`PipelineRun::resume`](mlx_core::pipeline::PipelineRun::resume) continues it. The outputs of the steps are in it as
//! they are.
//!
//! **Functions** as steps reach, through their context, plugins of the built-in types only; a plugin that is executed
//! reaches all.
//!
//! **Cancelling** a run cancels its running steps; it has ended when they have.
//!
//! **Stopping** the platform cancels every run and waits until all have ended. The engine is started after the plugins of
//! all built-in types, and so it is stopped before them.
//!
//! What it does not do: keep runs over a restart or a hot swap (a record does), schedules, other machines.

#[cfg(test)]
mod tests;

use mlx_core::{
    pipeline::{PipelineEvent, PipelineEventKind, PipelineEvents, PipelineResult, PipelineRun, StepState},
    prelude::*,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::IntoFuture,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Settings of the local engine.
#[derive(Clone, Debug, PluginConfig)]
pub struct LocalConfig {
    /// Pipelines that run at the same time.
    #[config(default = 4, range(1..=256))]
    pub runs: usize,
    /// Pipelines that wait for their turn; more are turned away.
    #[config(default = 16, range(0..=100_000))]
    pub queue: usize,
    /// Ended runs whose results are kept; the oldest are forgotten first.
    #[config(default = 64, range(1..=100_000))]
    pub keep_results: usize,
    /// The folder for records; it is made if need be. Without it, runs are not recorded.
    pub records: Option<PathBuf>,
    /// The folder for the files of steps, one folder a run; the system's folder for temporary files without it.
    pub artifacts: Option<PathBuf>,
}

/// Pipelines in this process.
#[mlx_plugin(
    type = "workflow_engine",
    name = "local",
    capabilities = ["retries", "deadlines", "functions", "typed_data", "records"],
    optional = [
        "type:configuration",
        "type:data_processor",
        "type:data_source",
        "type:experiment_tracker",
        "type:feature_store",
        "type:llm_provider",
        "type:ml_platform",
        "type:ml_trainer",
        "type:model_registry",
        "type:model_server",
        "type:monitoring",
        "type:plugin_system",
        "type:security",
        "type:serving_platform",
        "type:vector_database",
    ],
    stability = "beta"
)]
#[derive(Debug)]
pub struct Local {
    cx: InitContext,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: LocalConfig,
    state: Mutex<State>,
    /// How many runs have not ended.
    active: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    submitted: u64,
    runs: HashMap<String, Arc<Run>>,
    /// How many runs have their turn.
    running: usize,
    /// Who is told that it is their turn, the next first.
    waiting: VecDeque<oneshot::Sender<()>>,
    /// The ids of ended runs, the oldest first.
    ended: VecDeque<String>,
    stopping: bool,
}

#[derive(Debug)]
struct Run {
    number: u64,
    id: String,
    pipeline: String,
    cancellation: CancellationToken,
    progress: watch::Sender<Progress>,
}

#[derive(Clone, Debug)]
struct Progress {
    began: Option<Instant>,
    steps: BTreeMap<String, StepState>,
    /// What it brought, and after how long.
    ended: Option<(Duration, Arc<Result<PipelineResult>>)>,
}

#[async_trait]
impl Plugin for Local {
    type Config = LocalConfig;

    async fn initialize(config: LocalConfig, cx: &InitContext) -> Result<Self> {
        if let Some(folder) = &config.records {
            std::fs::create_dir_all(folder).with_context(|| format!("creating the folder {}", folder.display()))?;
        }
        let shared = Shared { config, state: Mutex::default(), active: watch::Sender::new(0) };
        Ok(Local { cx: cx.clone(), shared: Arc::new(shared) })
    }

    async fn health(&self) -> Result<Health> {
        let running = self.shared.state().running;
        let waiting = self.shared.active.borrow().saturating_sub(running);
        Ok(Health::healthy().detail("running", running).detail("waiting", waiting))
    }

    async fn shutdown(&self) -> Result<()> {
        {
            let mut state = self.shared.state();
            state.stopping = true;
            state.runs.values().for_each(|run| run.cancellation.cancel());
        }
        // The sender is ours, so that this ends only when the last run has.
        let _ = self.shared.active.subscribe().wait_for(|active| *active == 0).await;
        Ok(())
    }
}

#[async_trait]
impl WorkflowEngine for Local {
    async fn submit(&self, request: WorkflowRequest) -> Result<String> {
        let shared = &self.shared;
        let cancellation = CancellationToken::new();
        let mut work = PipelineRun::new(&request.pipeline, self.cx.peers().clone())
            .input(request.input)
            .cancellation(cancellation.clone());
        work.check()?;
        let id = work.id().to_owned();
        if let Some(folder) = &shared.config.records {
            work = work.record(folder.join(format!("{id}.jsonl")));
        }
        if let Some(folder) = &shared.config.artifacts {
            work = work.artifacts(folder.join(&id));
        }
        let steps = request.pipeline.steps().iter().map(|step| (step.name().to_owned(), StepState::Pending)).collect();
        let progress = watch::Sender::new(Progress { began: None, steps, ended: None });

        let mut state = shared.state();
        if state.stopping {
            return Err(Error::stopped("the engine is stopping and takes no more pipelines"));
        }
        let free = state.running < shared.config.runs;
        state.waiting.retain(|turn| !turn.is_closed());
        if !free && state.waiting.len() >= shared.config.queue {
            return Err(Error::unavailable(format!(
                "the queue is full: {} pipelines run and {} wait; try again later, or raise `runs` or `queue`",
                state.running,
                state.waiting.len()
            )));
        }
        state.submitted += 1;
        let pipeline = request.pipeline.name().to_owned();
        let run = Arc::new(Run { number: state.submitted, id: id.clone(), pipeline, cancellation, progress });
        state.runs.insert(id.clone(), run.clone());
        shared.active.send_modify(|active| *active += 1);
        let (tell, turn) = oneshot::channel();
        state.waiting.push_back(tell);
        shared.next(&mut state);
        tokio::spawn(supervise(shared.clone(), run, work, turn));
        Ok(id)
    }

    async fn status(&self, run: &str) -> Result<WorkflowRun> {
        Ok(self.shared.run(run)?.status())
    }

    async fn result(&self, run: &str) -> Result<PipelineResult> {
        let run = self.shared.run(run)?;
        let mut progress = run.progress.subscribe();
        let ended = progress
            .wait_for(|progress| progress.ended.is_some())
            .await
            .map_err(|_| Error::internal("the run was dropped before it ended"))?;
        match ended.ended.as_ref().map(|(_, outcome)| outcome.as_ref()) {
            Some(Ok(result)) => Ok(result.clone()),
            // An error cannot be copied; what everybody who asks gets is made of its parts.
            Some(Err(error)) => Err(Error::new(error.kind(), format!("{error:#}"))
                .with_diagnostics(error.diagnostics().iter().cloned())
                .context(format!("running the pipeline `{}`", run.pipeline))),
            None => Err(Error::internal("the run has no result")),
        }
    }

    async fn cancel(&self, run: &str) -> Result<()> {
        self.shared.run(run)?.cancellation.cancel();
        Ok(())
    }

    async fn runs(&self) -> Result<Vec<WorkflowRun>> {
        let mut runs: Vec<Arc<Run>> = self.shared.state().runs.values().cloned().collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.number));
        Ok(runs.iter().map(|run| run.status()).collect())
    }
}

/// Runs a pipeline when it is its turn. One that is cancelled before runs no step, and so needs no turn.
async fn supervise(shared: Arc<Shared>, run: Arc<Run>, work: PipelineRun, mut turn: oneshot::Receiver<()>) {
    let waited = run.cancellation.run_until_cancelled(&mut turn).await;
    // It may have come together with the cancellation.
    let has_turn = waited.map_or_else(|| came(turn), |turn| turn.is_ok());
    run.progress.send_modify(|progress| progress.began = Some(Instant::now()));
    let (work, events) = work.with_events();
    let (outcome, ()) = tokio::join!(work.into_future(), run.follow(events));
    shared.end(&run, outcome, has_turn);
}

/// Takes no turn any more, and says whether it came before.
fn came(mut turn: oneshot::Receiver<()>) -> bool {
    turn.close();
    turn.try_recv().is_ok()
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, id: &str) -> Result<Arc<Run>> {
        self.state().runs.get(id).cloned().ok_or_else(|| {
            let kept = self.config.keep_results;
            Error::not_found(format!("no run has the id `{id}`; ended runs are forgotten after {kept} others"))
        })
    }

    /// Gives turns to those who wait, as long as there are any.
    fn next(&self, state: &mut State) {
        while state.running < self.config.runs {
            let Some(turn) = state.waiting.pop_front() else { return };
            // Who was cancelled does not wait any more.
            state.running += usize::from(turn.send(()).is_ok());
        }
    }

    /// Ends a run, gives its turn to the next, and forgets the oldest result beyond what is kept.
    fn end(&self, run: &Run, outcome: Result<PipelineResult>, had_turn: bool) {
        let mut state = self.state();
        state.running -= usize::from(had_turn);
        self.next(&mut state);
        run.progress.send_modify(|progress| {
            let duration = progress.began.map_or(Duration::ZERO, |began| began.elapsed());
            progress.ended = Some((duration, Arc::new(outcome)));
        });
        state.ended.push_back(run.id.clone());
        while state.ended.len() > self.config.keep_results {
            if let Some(oldest) = state.ended.pop_front() {
                state.runs.remove(&oldest);
            }
        }
        self.active.send_modify(|active| *active -= 1);
    }
}

impl Run {
    async fn follow(&self, mut events: PipelineEvents) {
        while let Some(event) = events.next().await {
            let Some((step, state)) = state_after(event) else { continue };
            self.progress.send_modify(|progress| {
                progress.steps.insert(step, state);
            });
        }
    }

    fn status(&self) -> WorkflowRun {
        let progress = self.progress.borrow().clone();
        let (status, error) = match (progress.ended.as_ref().map(|(_, outcome)| outcome.as_ref()), progress.began) {
            (Some(Ok(result)), _) => (result.status, result.error.clone()),
            (Some(Err(error)), _) => (ComponentStatus::Failed, Some(error.to_string())),
            (None, Some(_)) => (ComponentStatus::Running, None),
            (None, None) => (ComponentStatus::Pending, None),
        };
        let mut run = WorkflowRun::new(&self.id, &self.pipeline, status);
        run.duration = match (&progress.ended, progress.began) {
            (Some((duration, _)), _) => *duration,
            (None, Some(began)) => began.elapsed(),
            (None, None) => Duration::ZERO,
        };
        (run.steps, run.error) = (progress.steps, error);
        run
    }
}

fn state_after(event: PipelineEvent) -> Option<(String, StepState)> {
    match event.kind {
        PipelineEventKind::StepStarted { step } => Some((step, StepState::Running)),
        PipelineEventKind::StepFinished { step, .. } | PipelineEventKind::StepRestored { step } => {
            Some((step, StepState::Succeeded))
        }
        PipelineEventKind::StepFailed { step, .. } => Some((step, StepState::Failed)),
        PipelineEventKind::StepCancelled { step } => Some((step, StepState::Cancelled)),
        PipelineEventKind::StepSkipped { step, .. } => Some((step, StepState::Skipped)),
        _ => None,
    }
}
