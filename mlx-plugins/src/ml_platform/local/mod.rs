//! Runs training jobs in this process, a bounded number at a time.
//!
//! ```yaml
//! plugins:
//!   - type: ml_platform
//!     name: local
//!     config:
//!       workers: 1
//!       queue: 16
//!       keep_results: 64
//! ```
//!
//! A job is run by one of the program's trainers. It starts at once when a worker is free, else it waits in the
//! order of submission; when the queue is full as well, [`submit`](MlPlatform::submit) answers
//! [`Unavailable`](ErrorKind::Unavailable). A result can be fetched as often as wanted until `keep_results` other jobs
//! have ended after it; then its job is unknown. A job whose trainer panics has failed; the others are not touched.
//!
//! **Cancelling** a waiting job takes it out of the queue. A running one counts as cancelled at once, and its result
//! is thrown away; its worker is free again when the trainer returns, because a computation cannot be interrupted and
//! a second one beside it would break the bound.
//!
//! **Stopping** the platform cancels every job and waits for the trainers that still compute.
//!
//! What it does not do: keep jobs over a restart or a hot swap, other machines, retries, priorities.

#[cfg(test)]
mod tests;

use mlx_core::{diagnostics::Diagnostic, prelude::*};
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Settings of the local platform.
#[derive(Clone, Debug, PluginConfig)]
pub struct LocalConfig {
    /// Jobs that run at the same time.
    #[config(default = 1, range(1..=256))]
    pub workers: usize,
    /// Jobs that wait for a worker; more are turned away.
    #[config(default = 16, range(0..=100_000))]
    pub queue: usize,
    /// Ended jobs whose results are kept; the oldest are forgotten first.
    #[config(default = 64, range(1..=100_000))]
    pub keep_results: usize,
}

/// Training jobs in this process.
#[mlx_plugin(
    type = "ml_platform",
    name = "local",
    capabilities = ["ml_training"],
    requires = ["type:ml_trainer"],
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
    /// Before the number in every job's id, so that an id of an earlier process is not taken for one of this.
    prefix: String,
    state: Mutex<State>,
    /// How many workers are busy.
    busy: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    submitted: u64,
    jobs: HashMap<String, Arc<Job>>,
    /// Waiting jobs, the next first.
    queue: VecDeque<Work>,
    /// The ids of ended jobs, the oldest first.
    ended: VecDeque<String>,
    stopping: bool,
}

#[derive(Debug)]
struct Job {
    number: u64,
    id: String,
    name: String,
    progress: watch::Sender<Progress>,
}

/// A job with what it takes to run it.
#[derive(Debug)]
struct Work {
    job: Arc<Job>,
    trainer: Handle<dyn MlTrainer>,
    request: TrainingRequest,
}

#[derive(Clone, Debug)]
enum Progress {
    Queued,
    Running(Instant),
    Ended(Duration, Outcome),
}

#[derive(Clone, Debug)]
enum Outcome {
    Succeeded(Arc<TrainedModel>),
    Failed(Failure),
    Cancelled,
}

/// An error that can be reported again to everyone who asks.
#[derive(Clone, Debug)]
struct Failure {
    kind: ErrorKind,
    message: String,
    diagnostics: Vec<Diagnostic>,
}

#[async_trait]
impl Plugin for Local {
    type Config = LocalConfig;

    async fn initialize(config: LocalConfig, cx: &InitContext) -> Result<Self> {
        if cx.get_all::<dyn MlTrainer>()?.is_empty() {
            return Err(Error::not_found(
                "there is no trainer to run jobs with; add a plugin of type `ml_trainer` to the composition",
            ));
        }
        let shared = Shared {
            config,
            prefix: format!("job-{:08x}-", RandomState::new().hash_one(cx.id()) as u32),
            state: Mutex::default(),
            busy: watch::Sender::new(0),
        };
        Ok(Local { cx: cx.clone(), shared: Arc::new(shared) })
    }

    async fn health(&self) -> Result<Health> {
        let waiting = self.shared.state().queue.len();
        Ok(Health::healthy().detail("running", *self.shared.busy.borrow()).detail("waiting", waiting))
    }

    async fn shutdown(&self) -> Result<()> {
        {
            let mut state = self.shared.state();
            state.stopping = true;
            let jobs: Vec<Arc<Job>> = state.jobs.values().cloned().collect();
            for job in jobs {
                self.shared.cancel(&mut state, &job);
            }
        }
        // The sender is ours, so that this ends only when the last worker is free.
        let _ = self.shared.busy.subscribe().wait_for(|busy| *busy == 0).await;
        Ok(())
    }
}

#[async_trait]
impl MlPlatform for Local {
    async fn submit(&self, job: TrainingJob) -> Result<String> {
        let trainer = match &job.trainer {
            Some(name) => self.cx.get::<dyn MlTrainer>(name),
            None => self.cx.get_default::<dyn MlTrainer>(),
        }
        .with_context(|| format!("choosing the trainer of the job `{}`", job.name))?;

        let shared = &self.shared;
        let mut state = shared.state();
        if state.stopping {
            return Err(Error::stopped("the platform is stopping and takes no more jobs"));
        }
        let free = *shared.busy.borrow() < shared.config.workers;
        if !free && state.queue.len() >= shared.config.queue {
            return Err(Error::unavailable(format!(
                "the queue is full: {} jobs run and {} wait; try again later, or raise `workers` or `queue`",
                shared.config.workers,
                state.queue.len()
            )));
        }
        state.submitted += 1;
        let number = state.submitted;
        let id = format!("{}{number}", shared.prefix);
        let job_record =
            Arc::new(Job { number, id: id.clone(), name: job.name, progress: watch::Sender::new(Progress::Queued) });
        state.jobs.insert(id.clone(), job_record.clone());
        let work = Work { job: job_record, trainer, request: job.request };
        if free {
            work.job.progress.send_replace(Progress::Running(Instant::now()));
            shared.busy.send_modify(|busy| *busy += 1);
            tokio::spawn(worker(shared.clone(), work));
        } else {
            state.queue.push_back(work);
        }
        Ok(id)
    }

    async fn status(&self, job: &str) -> Result<JobStatus> {
        Ok(self.shared.job(job)?.status())
    }

    async fn result(&self, job: &str) -> Result<TrainedModel> {
        let job = self.shared.job(job)?;
        let mut progress = job.progress.subscribe();
        let ended = progress
            .wait_for(|progress| matches!(progress, Progress::Ended(..)))
            .await
            .map_err(|_| Error::internal("the job was dropped before it ended"))?;
        match &*ended {
            Progress::Ended(_, Outcome::Succeeded(model)) => Ok(model.as_ref().clone()),
            Progress::Ended(_, Outcome::Failed(failure)) => Err(failure.error().context(job.to_string())),
            _ => Err(Error::cancelled(format!("{job} was cancelled"))),
        }
    }

    async fn cancel(&self, job: &str) -> Result<()> {
        let job = self.shared.job(job)?;
        self.shared.cancel(&mut self.shared.state(), &job);
        Ok(())
    }

    async fn jobs(&self) -> Result<Vec<JobStatus>> {
        let mut jobs: Vec<Arc<Job>> = self.shared.state().jobs.values().cloned().collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(job.number));
        Ok(jobs.iter().map(|job| job.status()).collect())
    }
}

/// Runs a job, and then whatever waits, until nothing does.
async fn worker(shared: Arc<Shared>, first: Work) {
    let mut next = Some(first);
    while let Some(Work { job, trainer, request }) = next {
        // A task of its own, so that a panic ends the job and not the worker.
        let outcome = match tokio::spawn(async move { trainer.train(request).await }).await {
            Ok(Ok(model)) => Outcome::Succeeded(Arc::new(model)),
            Ok(Err(error)) => Outcome::Failed(Failure::of(&error)),
            Err(error) => Outcome::Failed(Failure::of(&Error::internal(if error.is_panic() {
                "the trainer panicked"
            } else {
                "the program is ending"
            }))),
        };
        let mut state = shared.state();
        shared.end(&mut state, &job, outcome);
        next = state.queue.pop_front();
        match &next {
            Some(work) => drop(work.job.progress.send_replace(Progress::Running(Instant::now()))),
            None => shared.busy.send_modify(|busy| *busy -= 1),
        }
    }
}

impl Shared {
    /// Every change of a job's progress is made under this lock, so that none is overtaken by another.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self, id: &str) -> Result<Arc<Job>> {
        self.state().jobs.get(id).cloned().ok_or_else(|| {
            let kept = self.config.keep_results;
            Error::not_found(format!("no job has the id `{id}`; ended jobs are forgotten after {kept} others"))
        })
    }

    /// Ends a job as cancelled, unless it has ended.
    fn cancel(&self, state: &mut State, job: &Arc<Job>) {
        state.queue.retain(|work| work.job.number != job.number);
        self.end(state, job, Outcome::Cancelled);
    }

    /// Ends a job, unless it has ended, and forgets the oldest beyond what is kept.
    fn end(&self, state: &mut State, job: &Arc<Job>, outcome: Outcome) {
        let ended = job.progress.send_if_modified(|progress| {
            let duration = match progress {
                Progress::Queued => Duration::ZERO,
                Progress::Running(since) => since.elapsed(),
                Progress::Ended(..) => return false,
            };
            *progress = Progress::Ended(duration, outcome);
            true
        });
        if ended {
            state.ended.push_back(job.id.clone());
        }
        while state.ended.len() > self.config.keep_results {
            if let Some(oldest) = state.ended.pop_front() {
                state.jobs.remove(&oldest);
            }
        }
    }
}

impl Job {
    fn status(&self) -> JobStatus {
        let (state, duration, error) = match &*self.progress.borrow() {
            Progress::Queued => (JobState::Queued, Duration::ZERO, None),
            Progress::Running(since) => (JobState::Running, since.elapsed(), None),
            Progress::Ended(duration, outcome) => match outcome {
                Outcome::Succeeded(_) => (JobState::Succeeded, *duration, None),
                Outcome::Failed(failure) => (JobState::Failed, *duration, Some(failure.message.clone())),
                Outcome::Cancelled => (JobState::Cancelled, *duration, None),
            },
        };
        let mut status = JobStatus::new(&self.id, &self.name, state);
        status.duration = duration;
        status.error = error;
        status
    }
}

impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "job `{}` ({})", self.name, self.id)
    }
}

impl Failure {
    fn of(error: &Error) -> Self {
        Failure { kind: error.kind(), message: error.to_string(), diagnostics: error.diagnostics().to_vec() }
    }

    fn error(&self) -> Error {
        Error::new(self.kind, &self.message).with_diagnostics(self.diagnostics.iter().cloned())
    }
}
