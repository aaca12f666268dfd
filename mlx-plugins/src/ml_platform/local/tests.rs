use super::*;
use mlx_core::{
    arrow::array::{ArrayRef, Float64Array},
    handle::{Instance, Slot},
    plugin::{KindInfo, NoPeers, Peers},
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::{sync::Semaphore, time::timeout};

/// Does what the request's target says, and counts how many do it at the same time.
struct Scripted {
    /// A permit lets one `wait` go on.
    gate: Semaphore,
    running: AtomicUsize,
    most: AtomicUsize,
    begun: AtomicUsize,
}

#[async_trait]
impl MlTrainer for Scripted {
    async fn train(&self, request: TrainingRequest) -> Result<TrainedModel> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let result = match request.target.as_str() {
            "fail" => Err(Error::invalid("no such column")),
            "panic" => {
                self.running.fetch_sub(1, Ordering::SeqCst);
                panic!("as told")
            }
            "wait" => {
                self.gate.acquire().await.unwrap().forget();
                Ok(trained("waited"))
            }
            other => Ok(trained(other)),
        };
        self.running.fetch_sub(1, Ordering::SeqCst);
        result
    }

    async fn evaluate(&self, _: Model, _: DataFrame) -> Result<Evaluation> {
        Err(Error::unsupported("a script"))
    }
}

fn trained(format: &str) -> TrainedModel {
    let (bytes, signature, metadata) = (Vec::new(), ModelSignature::default(), BTreeMap::new());
    TrainedModel::new(Model { format: format.to_owned(), bytes, signature, metadata })
}

/// One trainer, named `scripted`.
struct OneTrainer(Arc<Slot>);

impl Peers for OneTrainer {
    fn find(&self, kind: &'static KindInfo, name: Option<&str>) -> Result<Arc<Slot>> {
        match name {
            None | Some("scripted") if kind.name == "ml_trainer" => Ok(self.0.clone()),
            _ => Err(Error::not_found("no such trainer")),
        }
    }

    fn find_all(&self, _: &'static KindInfo) -> Vec<Arc<Slot>> {
        vec![self.0.clone()]
    }
}

struct Fixture {
    trainer: Arc<Scripted>,
    slot: Arc<Slot>,
    platform: Arc<Local>,
}

async fn fixture(workers: usize, queue: usize, keep_results: usize) -> Fixture {
    let trainer = Arc::new(Scripted {
        gate: Semaphore::new(0),
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        begun: AtomicUsize::new(0),
    });
    let slot = Arc::new(Slot::new("scripted"));
    assert!(slot.publish(Instance::new().provide::<dyn MlTrainer>(trainer.clone())).is_none());
    let cx = InitContext::new("local", Arc::new(OneTrainer(slot.clone())), Default::default());
    let platform = Local::initialize(LocalConfig { workers, queue, keep_results }, &cx).await.unwrap();
    Fixture { trainer, slot, platform: Arc::new(platform) }
}

fn job(script: &str) -> TrainingJob {
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    TrainingJob::new(script, TrainingRequest::new(DataFrame::from_columns([("x", numbers)]).unwrap(), script))
}

impl Fixture {
    async fn submit(&self, script: &str) -> String {
        self.platform.submit(job(script)).await.unwrap()
    }

    async fn state(&self, id: &str) -> JobState {
        self.platform.status(id).await.unwrap().state
    }

    /// Until so many trainings have begun.
    async fn begun(&self, count: usize) {
        let begun = async {
            while self.trainer.begun.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(5), begun).await.expect("the training begins");
    }
}

#[tokio::test]
async fn a_job_runs_and_its_result_can_be_fetched_again() {
    let f = fixture(1, 1, 8).await;
    let id = f.submit("good").await;
    assert_eq!(f.platform.result(&id).await.unwrap().model.format, "good");
    assert_eq!(f.platform.result(&id).await.unwrap().model.format, "good");
    let status = f.platform.status(&id).await.unwrap();
    assert_eq!((status.name.as_str(), status.state, status.error), ("good", JobState::Succeeded, None));
    let named = f.platform.submit(job("good").trainer("scripted")).await.unwrap();
    assert!(f.platform.result(&named).await.is_ok());
}

#[tokio::test]
async fn a_failed_job_keeps_the_kind_of_its_error() {
    let f = fixture(1, 1, 8).await;
    let id = f.submit("fail").await;
    for _ in 0..2 {
        let error = f.platform.result(&id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("job `fail`") && error.to_string().contains("no such column"), "{error}");
    }
    let status = f.platform.status(&id).await.unwrap();
    assert_eq!((status.state, status.error.as_deref()), (JobState::Failed, Some("no such column")));
}

#[tokio::test]
async fn a_panicking_trainer_fails_its_job_only() {
    let f = fixture(1, 2, 8).await;
    let bad = f.submit("panic").await;
    let good = f.submit("good").await;
    assert_eq!(f.platform.result(&bad).await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(f.state(&bad).await, JobState::Failed);
    assert!(f.platform.result(&good).await.is_ok());
}

#[tokio::test]
async fn no_more_run_than_there_are_workers_and_the_rest_wait_in_order() {
    let f = fixture(2, 3, 8).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(f.submit("wait").await);
    }
    f.begun(2).await;
    assert_eq!((f.state(&ids[1]).await, f.state(&ids[2]).await), (JobState::Running, JobState::Queued));
    let health = Plugin::health(&*f.platform).await.unwrap();
    assert_eq!((&health.details["running"], &health.details["waiting"]), (&2.into(), &3.into()));

    let error = f.platform.submit(job("good")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("2 jobs run and 3 wait"), "{error}");

    f.trainer.gate.add_permits(1);
    f.begun(3).await;
    assert_eq!((f.state(&ids[2]).await, f.state(&ids[3]).await), (JobState::Running, JobState::Queued));
    f.trainer.gate.add_permits(4);
    for id in &ids {
        f.platform.result(id).await.unwrap();
    }
    assert_eq!(f.trainer.most.load(Ordering::SeqCst), 2);
    let listed: Vec<String> = f.platform.jobs().await.unwrap().into_iter().map(|status| status.id).collect();
    assert_eq!(listed, ids.iter().rev().cloned().collect::<Vec<_>>(), "the newest first");
}

#[tokio::test]
async fn a_cancelled_waiting_job_never_starts_and_frees_its_place() {
    let f = fixture(1, 1, 8).await;
    let first = f.submit("wait").await;
    let waiting = f.submit("good").await;
    f.platform.cancel(&waiting).await.unwrap();
    let next = f.submit("good").await;
    f.trainer.gate.add_permits(1);
    f.platform.result(&first).await.unwrap();
    f.platform.result(&next).await.unwrap();
    assert_eq!(f.trainer.begun.load(Ordering::SeqCst), 2);
    assert_eq!(f.platform.result(&waiting).await.unwrap_err().kind(), ErrorKind::Cancelled);
    let status = f.platform.status(&waiting).await.unwrap();
    assert_eq!((status.state, status.duration), (JobState::Cancelled, Duration::ZERO));
}

#[tokio::test]
async fn a_cancelled_running_job_is_cancelled_at_once_and_keeps_its_worker() {
    let f = fixture(1, 1, 8).await;
    let id = f.submit("wait").await;
    f.begun(1).await;
    f.platform.cancel(&id).await.unwrap();
    assert_eq!(f.state(&id).await, JobState::Cancelled);
    assert_eq!(f.platform.result(&id).await.unwrap_err().kind(), ErrorKind::Cancelled);
    let next = f.submit("good").await;
    assert_eq!(f.state(&next).await, JobState::Queued, "the worker still computes");
    f.trainer.gate.add_permits(1);
    f.platform.result(&next).await.unwrap();
    assert_eq!(f.state(&id).await, JobState::Cancelled, "the late result is thrown away");
    // Once more changes nothing, nor does cancelling a success.
    f.platform.cancel(&id).await.unwrap();
    f.platform.cancel(&next).await.unwrap();
    assert_eq!(f.state(&next).await, JobState::Succeeded);
}

#[tokio::test]
async fn old_results_are_forgotten_and_ids_are_not_used_again() {
    let f = fixture(1, 1, 2).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let id = f.submit("good").await;
        f.platform.result(&id).await.unwrap();
        ids.push(id);
    }
    assert_eq!(f.platform.jobs().await.unwrap().len(), 2);
    let error = f.platform.status(&ids[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(f.platform.result(&ids[3]).await.is_ok());
    ids.dedup();
    assert_eq!(ids.len(), 4);
    let other = fixture(1, 1, 2).await;
    assert_eq!(other.platform.status(&ids[3]).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_ne!(other.submit("good").await, ids[0]);
}

#[tokio::test]
async fn unknown_ids_and_trainers_are_not_found() {
    let f = fixture(1, 1, 2).await;
    assert_eq!(f.platform.status("job-1").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(f.platform.result("job-1").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(f.platform.cancel("job-1").await.unwrap_err().kind(), ErrorKind::NotFound);
    let error = f.platform.submit(job("good").trainer("other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("trainer of the job `good`"), "{error}");
}

#[tokio::test]
async fn without_a_trainer_it_does_not_start() {
    let cx = InitContext::new("local", Arc::new(NoPeers), Default::default());
    let error = Local::initialize(LocalConfig { workers: 1, queue: 1, keep_results: 1 }, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("ml_trainer"), "{error}");
}

#[tokio::test]
async fn a_stopped_trainer_fails_the_job() {
    let f = fixture(1, 1, 2).await;
    assert!(f.slot.close().is_some());
    let id = f.submit("good").await;
    assert_eq!(f.platform.result(&id).await.unwrap_err().kind(), ErrorKind::Stopped);
}

#[tokio::test]
async fn a_stop_cancels_all_and_waits_for_what_runs() {
    let f = fixture(1, 1, 8).await;
    let running = f.submit("wait").await;
    let waiting = f.submit("good").await;
    f.begun(1).await;
    let platform = f.platform.clone();
    let waiter = tokio::spawn({
        let (platform, running) = (platform.clone(), running.clone());
        async move { platform.result(&running).await }
    });
    let stop = tokio::spawn(async move { Plugin::shutdown(&*platform).await });
    let cancelled = waiter.await.unwrap().unwrap_err();
    assert_eq!(cancelled.kind(), ErrorKind::Cancelled);
    assert_eq!((f.state(&running).await, f.state(&waiting).await), (JobState::Cancelled, JobState::Cancelled));
    assert_eq!(f.platform.submit(job("good")).await.unwrap_err().kind(), ErrorKind::Stopped);
    assert!(!stop.is_finished(), "the trainer still computes");
    f.trainer.gate.add_permits(1);
    timeout(Duration::from_secs(5), stop).await.expect("the stop ends").unwrap().unwrap();
    assert_eq!(f.trainer.begun.load(Ordering::SeqCst), 1, "the waiting job never starts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_from_many_callers_all_end_and_every_worker_is_free_again() {
    let f = Arc::new(fixture(3, 8, 100_000).await);
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let f = f.clone();
            tokio::spawn(async move {
                let mut accepted = 0;
                for round in 0..200 {
                    let script = if round % 7 == 0 { "fail" } else { "good" };
                    match f.platform.submit(job(script)).await {
                        Ok(id) if (caller + round) % 3 == 0 => f.platform.cancel(&id).await.unwrap(),
                        Ok(id) => drop(f.platform.result(&id).await),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Unavailable);
                            tokio::task::yield_now().await;
                            continue;
                        }
                    }
                    accepted += 1;
                }
                accepted
            })
        })
        .collect();
    let mut accepted = 0;
    for caller in callers {
        accepted += timeout(Duration::from_secs(20), caller).await.expect("no job is lost").unwrap();
    }
    timeout(Duration::from_secs(5), f.platform.shutdown()).await.expect("every worker is free").unwrap();
    let jobs = f.platform.jobs().await.unwrap();
    assert_eq!(jobs.len(), accepted);
    assert!(jobs.iter().all(|job| job.state.is_final()));
    assert!(f.trainer.most.load(Ordering::SeqCst) <= 3);
}
