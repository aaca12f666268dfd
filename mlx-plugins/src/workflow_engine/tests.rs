//! What every workflow engine does. The platform under test has the plugin `worker`, which does what its input says.

use mlx_core::{
    contract,
    diagnostics::Code,
    pipeline::{Step, StepState},
    prelude::*,
    resilience::Retry,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Something with a job.
#[contract(name = "worker", cardinality = "one")]
#[async_trait]
pub(super) trait Works {
    /// How many of its jobs run.
    async fn running(&self) -> Result<usize>;
}

/// Does what its input says.
#[mlx_plugin(type = Works)]
pub(super) struct Worker(Arc<AtomicUsize>);

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Plugin for Worker {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Worker(Arc::default()))
    }
    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let _running = Running(self.0.clone());
        match cx.input().get("do").and_then(JsonValue::as_str) {
            Some("fail") => Err(Error::unavailable("as told")),
            Some("panic") => panic!("as told"),
            Some("hang") => std::future::pending().await,
            _ => Ok(ComponentResult::success().output("input", cx.input().clone())),
        }
    }
}

#[async_trait]
impl Works for Worker {
    async fn running(&self) -> Result<usize> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

pub(super) fn job(name: &str, input: JsonValue) -> Step {
    Step::plugin(name, "worker").input(input)
}

pub(super) fn one(script: &str) -> WorkflowRequest {
    WorkflowRequest::new(Pipeline::new("one").step(job("only", json!({"do": script}))))
}

/// Waits until a run is in a status.
pub(super) async fn until(engine: &dyn WorkflowEngine, run: &str, status: ComponentStatus) -> WorkflowRun {
    loop {
        let now = engine.status(run).await.unwrap();
        if now.status == status {
            return now;
        }
        assert!(!matches!(now.status, ComponentStatus::Success | ComponentStatus::Failed | ComponentStatus::Cancelled));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Everything that is true of every engine.
pub(super) async fn conforms(engine: &dyn WorkflowEngine, worker: &dyn Works) {
    outputs_reach_the_next_step(engine).await;
    a_failure_is_no_success(engine).await;
    a_run_can_be_cancelled(engine, worker).await;
    what_is_wrong_is_refused(engine).await;
    what_is_not_known_is_not_found(engine).await;
    runs_are_listed_newest_first(engine).await;
}

async fn outputs_reach_the_next_step(engine: &dyn WorkflowEngine) {
    let pipeline = Pipeline::new("flow")
        .input(json!({"day": "monday", "hour": 1}))
        .step(job("first", json!({"day": "${input.day}", "hour": "${input.hour}"})))
        .step(job("second", json!({"from": "${steps.first.outputs.input}"})));
    let id = engine.submit(WorkflowRequest::new(pipeline).input(json!({"hour": 2}))).await.unwrap();
    let result = engine.result(&id).await.unwrap().into_result().unwrap();
    assert_eq!((result.run_id.as_str(), result.pipeline.as_str()), (id.as_str(), "flow"));
    let second = result.step("second").unwrap();
    assert_eq!(second.result.outputs["input"]["from"], json!({"day": "monday", "hour": 2}));
    let status = engine.status(&id).await.unwrap();
    assert_eq!((status.status, status.error), (ComponentStatus::Success, None));
    assert!(status.steps.len() == 2 && status.steps.values().all(|state| *state == StepState::Succeeded));
    // It can be fetched again.
    assert!(engine.result(&id).await.unwrap().is_success());
}

async fn a_failure_is_no_success(engine: &dyn WorkflowEngine) {
    for (script, attempts) in [("fail", 2), ("panic", 1)] {
        let retry = Retry::attempts(2).backoff(Duration::from_millis(1), Duration::from_millis(1));
        let pipeline = Pipeline::new("failing")
            .step(job("bad", json!({"do": script})).retry(retry))
            .step(job("next", json!({})).after("bad"));
        let id = engine.submit(WorkflowRequest::new(pipeline)).await.unwrap();
        let result = engine.result(&id).await.unwrap();
        assert_eq!(result.status, ComponentStatus::Failed);
        assert_eq!(result.step("bad").unwrap().attempts, attempts);
        assert_eq!(result.step("next").unwrap().state, StepState::Skipped);
        let status = engine.status(&id).await.unwrap();
        assert_eq!(status.status, ComponentStatus::Failed);
        assert!(status.error.unwrap().contains("as told"));
        assert_eq!(status.steps["bad"], StepState::Failed);
    }
}

async fn a_run_can_be_cancelled(engine: &dyn WorkflowEngine, worker: &dyn Works) {
    let id = engine.submit(one("hang")).await.unwrap();
    while worker.running().await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(engine.status(&id).await.unwrap().steps["only"], StepState::Running);
    engine.cancel(&id).await.unwrap();
    assert_eq!(engine.result(&id).await.unwrap().status, ComponentStatus::Cancelled);
    assert_eq!(worker.running().await.unwrap(), 0);
    // Once more changes nothing, and neither does cancelling what has succeeded.
    engine.cancel(&id).await.unwrap();
    let id = engine.submit(one("nothing")).await.unwrap();
    assert!(engine.result(&id).await.unwrap().is_success());
    engine.cancel(&id).await.unwrap();
    assert_eq!(engine.status(&id).await.unwrap().status, ComponentStatus::Success);
}

async fn what_is_wrong_is_refused(engine: &dyn WorkflowEngine) {
    let before = engine.runs().await.unwrap().len();
    let pipeline = Pipeline::new("wrong").step(Step::plugin("a", "wroker")).step(job("b", json!("${steps.c}")));
    let error = engine.submit(WorkflowRequest::new(pipeline)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let mut codes: Vec<Code> = error.diagnostics().iter().map(|diagnostic| diagnostic.code).collect();
    codes.sort();
    assert_eq!(codes, [Code::UnknownStep, Code::UnknownStepPlugin]);
    assert_eq!(engine.runs().await.unwrap().len(), before);
}

async fn what_is_not_known_is_not_found(engine: &dyn WorkflowEngine) {
    let kinds = [
        engine.status("nobody").await.unwrap_err().kind(),
        engine.result("nobody").await.unwrap_err().kind(),
        engine.cancel("nobody").await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::NotFound; 3]);
}

async fn runs_are_listed_newest_first(engine: &dyn WorkflowEngine) {
    let first = engine.submit(one("nothing")).await.unwrap();
    let second = engine.submit(one("nothing")).await.unwrap();
    let ids: Vec<String> = engine.runs().await.unwrap().into_iter().map(|run| run.id).take(2).collect();
    assert_eq!(ids, [second, first]);
}
