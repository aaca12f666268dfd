use super::*;
use crate::workflow_engine::tests::{Worker, Works, conforms, job, one, until};
use mlx_core::{
    pipeline::Step,
    registry::{Registration, Registry},
};

/// A platform with the engine and a worker.
async fn platform(config: JsonValue) -> Platform {
    static PLUGINS: [Registration; 2] = [Registration::new::<Local>(), Registration::new::<Worker>()];
    let composition =
        Composition::builder().plugin("workflow_engine", "local", config).plugin("worker", "worker", json!({})).build();
    Registry::from_registrations(&PLUGINS).activate(composition).await.unwrap()
}

fn engine(platform: &Platform) -> Handle<dyn WorkflowEngine> {
    platform.get_default::<dyn WorkflowEngine>().unwrap()
}

fn worker(platform: &Platform) -> Handle<dyn Works> {
    platform.get_default::<dyn Works>().unwrap()
}

#[tokio::test]
async fn it_does_what_every_engine_does() {
    let platform = platform(json!({})).await;
    conforms(&engine(&platform), &worker(&platform)).await;
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn runs_wait_for_their_turn_and_a_full_queue_turns_them_away() {
    let platform = platform(json!({"runs": 1, "queue": 1})).await;
    let engine = engine(&platform);
    let first = engine.submit(one("hang")).await.unwrap();
    until(&engine, &first, ComponentStatus::Running).await;
    let second = engine.submit(one("nothing")).await.unwrap();
    assert_eq!(engine.status(&second).await.unwrap().status, ComponentStatus::Pending);
    let health = Handle::health(&engine).await.unwrap();
    assert_eq!((&health.details["running"], &health.details["waiting"]), (&json!(1), &json!(1)));
    let third = engine.submit(one("nothing")).await.unwrap_err();
    assert_eq!(third.kind(), ErrorKind::Unavailable);
    engine.cancel(&first).await.unwrap();
    assert!(engine.result(&second).await.unwrap().is_success());
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_waiting_run_that_is_cancelled_runs_no_step() {
    let platform = platform(json!({"runs": 1})).await;
    let engine = engine(&platform);
    let first = engine.submit(one("hang")).await.unwrap();
    until(&engine, &first, ComponentStatus::Running).await;
    let second = engine.submit(one("nothing")).await.unwrap();
    engine.cancel(&second).await.unwrap();
    let result = engine.result(&second).await.unwrap();
    assert_eq!(result.status, ComponentStatus::Cancelled);
    assert_eq!(result.step("only").unwrap().state, StepState::Skipped);
    assert_eq!(engine.status(&first).await.unwrap().status, ComponentStatus::Running);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn old_results_are_forgotten() {
    let platform = platform(json!({"keep_results": 1})).await;
    let engine = engine(&platform);
    let first = engine.submit(one("nothing")).await.unwrap();
    assert!(engine.result(&first).await.unwrap().is_success());
    let second = engine.submit(one("nothing")).await.unwrap();
    assert!(engine.result(&second).await.unwrap().is_success());
    let error = engine.status(&first).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("forgotten"), "{error}");
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn stopping_ends_every_run() {
    let platform = platform(json!({"runs": 1})).await;
    let (engine, worker) = (engine(&platform), worker(&platform));
    let running = engine.submit(one("hang")).await.unwrap();
    until(&engine, &running, ComponentStatus::Running).await;
    engine.submit(one("hang")).await.unwrap();
    while worker.running().await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let worker = Handle::pin(&worker).unwrap();
    // The worker is held on to, so that it can still be asked when it has been stopped.
    let (stopped, left) = tokio::join!(platform.shutdown(), async {
        loop {
            if worker.running().await.unwrap() == 0 {
                drop(worker);
                return 0;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    stopped.unwrap();
    assert_eq!(left, 0);
    assert_eq!(engine.submit(one("nothing")).await.unwrap_err().kind(), ErrorKind::Stopped);
}

#[tokio::test]
async fn a_recorded_run_can_be_resumed_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("new/records");
    let pipeline = |script: &str| {
        Pipeline::new("p").step(job("a", json!({"n": 1}))).step(job("b", json!({"do": script})).after("a"))
    };
    let platform = platform(json!({"records": records})).await;
    let id = engine(&platform).submit(WorkflowRequest::new(pipeline("fail"))).await.unwrap();
    assert!(!engine(&platform).result(&id).await.unwrap().is_success());
    let record = records.join(format!("{id}.jsonl"));
    let result = platform.run(&pipeline("nothing")).resume(record).await.unwrap().into_result().unwrap();
    assert_eq!(result.run_id, id);
    assert!(result.steps[0].restored && !result.steps[1].restored);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_record_that_cannot_be_written_is_an_error_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records");
    let platform = platform(json!({"records": records})).await;
    std::fs::remove_dir(&records).unwrap();
    let id = engine(&platform).submit(one("nothing")).await.unwrap();
    let error = engine(&platform).result(&id).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("record"), "{error}");
    assert_eq!(engine(&platform).status(&id).await.unwrap().status, ComponentStatus::Failed);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn steps_can_be_functions() {
    let platform = platform(json!({})).await;
    let step = Step::call("f", |cx| async move { Ok(ComponentResult::success().output("id", cx.run_id())) });
    let id = engine(&platform).submit(WorkflowRequest::new(Pipeline::new("p").step(step))).await.unwrap();
    let result = engine(&platform).result(&id).await.unwrap().into_result().unwrap();
    assert_eq!(result.step("f").unwrap().result.outputs["id"], id);
    platform.shutdown().await.unwrap();
}
