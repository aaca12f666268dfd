//! Pipelines over a platform: what is refused, what runs when, what a failure leaves, and what a record brings back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    contract,
    diagnostics::Code,
    pipeline::{OnFailure, PipelineEventKind, PipelineResult, Step, StepState},
    prelude::*,
    registry::{Registration, Registry},
    resilience::{Retry, RetryOn},
};
use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Something with a job.
#[contract(name = "worker", cardinality = "many")]
#[async_trait]
pub trait Works {
    /// How many jobs run.
    async fn running(&self) -> Result<usize>;
    /// How many jobs have begun with this `id` in their input.
    async fn begun(&self, id: String) -> Result<usize>;
}

/// Does what its input says.
#[mlx_plugin(type = Works)]
pub struct Worker {
    running: Arc<AtomicUsize>,
    begun: Mutex<BTreeMap<String, usize>>,
}

/// Counts a job until it ends, however it does.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Running(counter.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Typed data.
#[derive(Debug, PartialEq)]
struct Rows(Vec<u64>);

#[async_trait]
impl Plugin for Worker {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Worker { running: Arc::default(), begun: Mutex::default() })
    }
    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        let _running = Running::new(&self.running);
        let text = |key: &str| cx.input().get(key).and_then(JsonValue::as_str).unwrap_or_default().to_owned();
        let count = {
            let mut begun = self.begun.lock().unwrap();
            let count = begun.entry(text("id")).or_default();
            *count += 1;
            *count
        };
        if let Some(wait) = cx.input().get("ms").and_then(JsonValue::as_u64) {
            sleep(Duration::from_millis(wait)).await;
        }
        match text("do").as_str() {
            "fail" => Err(Error::failed("as told")),
            "refuse" => Err(Error::invalid("as told")),
            "flaky" if count < 3 => Err(Error::unavailable("not yet")),
            "status" => Ok(ComponentResult::failed("a bad status")),
            "nothing" => Ok(ComponentResult::default()),
            "panic" => panic!("as told"),
            "hang" => std::future::pending().await,
            "rows" => Ok(ComponentResult::success().with_data(Rows(vec![1, 2, 3])).output("rows", 3)),
            "sum" => Ok(ComponentResult::success().output("sum", cx.data::<Rows>()?.0.iter().sum::<u64>())),
            "file" => {
                fs::create_dir_all(cx.artifacts())?;
                let path = cx.artifacts().join("file");
                fs::write(&path, "x")?;
                Ok(ComponentResult::success().artifact("file", path))
            }
            "nan" => Ok(ComponentResult::success().metric("nan", f64::NAN).metric("tenth", 0.1)),
            _ => Ok(ComponentResult::success().output("input", cx.input().clone()).output("count", count)),
        }
    }
}

#[async_trait]
impl Works for Worker {
    async fn running(&self) -> Result<usize> {
        Ok(self.running.load(Ordering::SeqCst))
    }
    async fn begun(&self, id: String) -> Result<usize> {
        Ok(self.begun.lock().unwrap().get(&id).copied().unwrap_or_default())
    }
}

/// A platform with the workers `worker` and `other`; from here on time is what the test makes of it.
async fn platform() -> Platform {
    let registry = Registry::from_registrations([Registration::new::<Worker>()].map(leak));
    let composition =
        Composition::from_yaml("plugins: [{type: worker, name: worker}, {type: worker, name: worker, id: other}]");
    let platform = registry.activate(composition.unwrap()).await.unwrap();
    tokio::time::pause();
    platform
}

fn leak(registration: Registration) -> &'static Registration {
    Box::leak(Box::new(registration))
}

async fn stop(platform: Platform) {
    tokio::time::resume();
    platform.shutdown().await.unwrap();
}

fn job(name: &str, input: JsonValue) -> Step {
    Step::plugin(name, "worker").input(input)
}

fn states(result: &PipelineResult) -> Vec<(&str, StepState)> {
    result.steps.iter().map(|step| (step.name.as_str(), step.state)).collect()
}

fn places(error: &Error) -> Vec<(Code, u32, String)> {
    let place = |d: &mlx_core::Diagnostic| {
        (d.code, d.location.as_ref().map_or(0, |at| at.line), d.path.clone().unwrap_or_default())
    };
    error.diagnostics().iter().map(place).collect()
}

async fn running(platform: &Platform) -> usize {
    platform.get::<dyn Works>("worker").unwrap().running().await.unwrap()
}

async fn begun(platform: &Platform, id: &str) -> usize {
    platform.get::<dyn Works>("worker").unwrap().begun(id.to_owned()).await.unwrap()
}

// ----------------------------------------------------------------------------------------------------------- checks

#[tokio::test]
async fn everything_that_is_wrong_is_reported_at_once() {
    let platform = platform().await;
    let text = "\
name: nightly
paralelism: 2
input: {day: monday}
steps:
  - name: load
    plugin: wroker
    retry: {max_attempts: 0}
    outputs: [rows]
  - name: load
    plugin: worker
    deadline: soon
  - name: train
    plugin: worker
    after: [lod]
    input:
      a: ${steps.load.outputs.row}
      b: ${steps.load.output.rows}
      c: ${input.dya}
      d: ${env:HOME}
      e: [\"${steps.none}\"]
  - {name: x, plugin: worker, after: [y]}
  - {name: y, plugin: worker, input: \"${steps.x}\"}
  - {name: self, plugin: worker, data: [self]}
  - {name: a b, plugin: worker/none}
  - {plugin: worker}
";
    let pipeline = Pipeline::from_yaml(text).unwrap();
    let error = platform.run(&pipeline).await.unwrap_err();
    let found: Vec<(Code, u32, String)> = places(&error);
    let expected = [
        (Code::UnknownField, 2, "paralelism"),
        (Code::UnknownStepPlugin, 6, "steps[0].plugin"),
        (Code::OutOfRange, 7, "steps[0].retry.max_attempts"),
        (Code::DuplicateId, 9, "steps[1].name"),
        (Code::WrongType, 11, "steps[1].deadline"),
        (Code::UnknownStep, 14, "steps[2].after[0]"),
        (Code::UnknownOutput, 16, "steps[2].input.a"),
        (Code::UnknownOutput, 17, "steps[2].input.b"),
        (Code::UnknownOutput, 18, "steps[2].input.c"),
        (Code::BadReference, 19, "steps[2].input.d"),
        (Code::UnknownStep, 20, "steps[2].input.e[0]"),
        (Code::Cycle, 21, "steps[3]"),
        (Code::Cycle, 23, "steps[5]"),
        (Code::InvalidValue, 24, "steps[6].name"),
        (Code::UnknownStepPlugin, 24, "steps[6].plugin"),
        (Code::MissingField, 25, "steps[7].name"),
    ];
    assert_eq!(found, expected.map(|(code, line, path)| (code, line, path.to_owned())), "{error:?}");
    let report = format!("{error:?}");
    for help in [
        "did you mean `worker`?",
        "did you mean `load`?",
        "did you mean `rows`?",
        "did you mean `outputs`?",
        "did you mean `day`?",
    ] {
        assert!(report.contains(help), "{help}: {report}");
    }
    assert_eq!(begun(&platform, "").await, 0);
    stop(platform).await;
}

#[tokio::test]
async fn what_is_made_in_code_is_checked_too() {
    let platform = platform().await;
    let pipeline =
        Pipeline::new("p").parallelism(0).step(job("a", json!("${input.x}"))).step(Step::plugin("b", "nobody"));
    let error = platform.run(&pipeline).check().unwrap_err();
    let mut codes: Vec<Code> = error.diagnostics().iter().map(|d| d.code).collect();
    codes.sort();
    assert_eq!(codes, [Code::OutOfRange, Code::UnknownStepPlugin, Code::UnknownOutput]);
    assert!(platform.run(&pipeline).input(json!([1])).check().unwrap_err().to_string().contains("not an object"));
    let pipeline = Pipeline::new("p").step(job("a", json!("${input.x}")));
    platform.run(&pipeline).input(json!({"x": 1})).check().unwrap();
    stop(platform).await;
}

#[test]
fn a_pipeline_without_steps_and_malformed_text_are_refused() {
    let none = Pipeline::from_yaml("name: x\nsteps: []").unwrap();
    assert_eq!(none.problems()[0].code, Code::WrongLength);
    assert_eq!(Pipeline::from_yaml("name: x").unwrap().problems()[0].code, Code::MissingField);
    assert_eq!(Pipeline::from_yaml("steps: [").unwrap_err().diagnostics()[0].code, Code::Syntax);
    assert_eq!(Pipeline::from_json("{\"name\": \"x\", \"steps\": 3}").unwrap().problems()[0].code, Code::WrongType);
    assert_eq!(Pipeline::from_path("pipeline.ini").unwrap_err().diagnostics()[0].code, Code::UnknownFormat);
}

// ---------------------------------------------------------------------------------------------------------- running

#[tokio::test]
async fn independent_steps_run_at_the_same_time() {
    let platform = platform().await;
    for (parallelism, expected) in [(4, 300), (2, 600), (1, 1200)] {
        let mut pipeline = Pipeline::new("p").parallelism(parallelism);
        for name in ["a", "b", "c", "d"] {
            pipeline = pipeline.step(job(name, json!({"ms": 300})));
        }
        let began = Instant::now();
        let (run, mut events) = platform.run(&pipeline).with_events();
        let result = run.await.unwrap().into_result().unwrap();
        let took = began.elapsed().as_millis();
        assert!((expected..expected + 50).contains(&took), "{parallelism}: {took}");
        assert!(result.steps.iter().all(|step| step.duration >= Duration::from_millis(300)));
        let mut begun = Vec::new();
        while let Some(event) = events.next().await {
            if let PipelineEventKind::StepStarted { step } = event.kind {
                begun.push(step);
            }
        }
        assert_eq!(begun, ["a", "b", "c", "d"]);
    }
    stop(platform).await;
}

#[tokio::test]
async fn outputs_reach_the_steps_that_ask_for_them() {
    let platform = platform().await;
    let pipeline = Pipeline::from_yaml(
        "
name: flow
input: {day: monday, hour: 3}
steps:
  - {name: report, plugin: other, input: {count: \"${steps.load.outputs.count}\", all: \"${steps.load.outputs}\", text: \"${steps.load.outputs.count} on ${input.day} at ${input.hour}\"}}
  - {name: load, plugin: worker/worker, input: {id: x, n: 1.5}}
",
    )
    .unwrap();
    let result = platform.run(&pipeline).input(json!({"hour": 4})).await.unwrap().into_result().unwrap();
    assert_eq!(
        result.step("report").unwrap().result.outputs["input"],
        json!({"count": 1, "all": {"count": 1, "input": {"id": "x", "n": 1.5}}, "text": "1 on monday at 4"})
    );
    stop(platform).await;
}

#[tokio::test]
async fn an_output_that_is_not_there_fails_the_step_that_asks() {
    let platform = platform().await;
    let text = "name: p\nsteps:\n  - {name: a, plugin: worker}\n  - name: b\n    plugin: worker\n    input: ${steps.a.outputs.coun}\n";
    let error = platform.run(&Pipeline::from_yaml(text).unwrap()).await.unwrap().into_result().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let found = places(&error);
    assert!(found.contains(&(Code::StepFailed, 4, "steps[1]".into())), "{error:?}");
    assert!(found.contains(&(Code::UnknownOutput, 6, "steps[1].input".into())), "{error:?}");
    assert!(format!("{error:?}").contains("did you mean `count`?"), "{error:?}");
    stop(platform).await;
}

#[tokio::test]
async fn typed_data_goes_from_step_to_step() {
    let platform = platform().await;
    let rows = |name: &str| job(name, json!({"do": "rows"}));
    let pipeline = Pipeline::new("p").step(rows("load")).step(job("sum", json!({"do": "sum"})).data("load"));
    let result = platform.run(&pipeline).await.unwrap().into_result().unwrap();
    assert_eq!(result.step("sum").unwrap().result.outputs["sum"], 6);
    assert_eq!(result.step("load").unwrap().result.data::<Rows>(), Some(&Rows(vec![1, 2, 3])));

    let twice =
        Pipeline::new("p").step(rows("a")).step(rows("b")).step(job("sum", json!({"do": "sum"})).data("a").data("b"));
    let error = platform.run(&twice).await.unwrap().into_result().unwrap_err();
    assert!(format!("{error:?}").contains("Rows"), "{error:?}");
    let none = Pipeline::new("p").step(job("a", json!({}))).step(job("sum", json!({"do": "sum"})).data("a"));
    let error = platform.run(&none).await.unwrap().into_result().unwrap_err();
    assert!(format!("{error:?}").contains("`a` delivered no typed data"), "{error:?}");
    stop(platform).await;
}

#[tokio::test]
async fn a_function_reaches_the_plugins() {
    let platform = platform().await;
    let pipeline = Pipeline::new("p").step(Step::call("ask", |cx| async move {
        let worker = cx.get::<dyn Works>("other")?;
        Ok(ComponentResult::success().output("running", worker.running().await?))
    }));
    let result = platform.run(&pipeline).await.unwrap().into_result().unwrap();
    assert_eq!(result.step("ask").unwrap().result.outputs["running"], 0);
    stop(platform).await;
}

// --------------------------------------------------------------------------------------------------------- failures

#[tokio::test]
async fn no_way_to_fail_is_a_success() {
    let platform = platform().await;
    let panic = Step::call("bad", |_| async { panic!("a function panics") });
    let early = Step::call("bad", |_| -> std::future::Ready<Result<ComponentResult>> { panic!("before its future") });
    for (step, kind, why) in [
        (job("bad", json!({"do": "fail"})), ErrorKind::Failed, "as told"),
        (job("bad", json!({"do": "refuse"})), ErrorKind::Invalid, "as told"),
        (job("bad", json!({"do": "status"})), ErrorKind::Failed, "a bad status"),
        (job("bad", json!({"do": "nothing"})), ErrorKind::Failed, "pending"),
        (job("bad", json!({"do": "panic"})), ErrorKind::Internal, "as told"),
        (job("bad", json!({"do": "hang"})).deadline(Duration::from_secs(5)), ErrorKind::Timeout, "within 5s"),
        (job("bad", json!({})).outputs(["accuracy"]), ErrorKind::Invalid, "accuracy"),
        (panic, ErrorKind::Internal, "a function panics"),
        (early, ErrorKind::Internal, "before its future"),
    ] {
        let pipeline = Pipeline::new("p").step(step).step(job("next", json!({})).after("bad"));
        let result = platform.run(&pipeline).await.unwrap();
        assert!(!result.is_success());
        assert_eq!(result.status, ComponentStatus::Failed);
        assert_eq!(states(&result), [("bad", StepState::Failed), ("next", StepState::Skipped)]);
        assert_eq!(result.step("next").unwrap().error.as_deref(), Some("it waits for `bad`, which failed"));
        let error = result.into_result().unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.diagnostics().iter().any(|d| d.code == Code::StepFailed), "{error:?}");
        assert!(format!("{error:?}").contains(why), "{error:?}");
        assert_eq!(running(&platform).await, 0);
    }
    stop(platform).await;
}

#[tokio::test]
async fn a_failure_ends_the_pipeline_or_only_its_branch() {
    let platform = platform().await;
    for (policy, long, after_long) in [
        (OnFailure::Abort, StepState::Cancelled, StepState::Skipped),
        (OnFailure::Continue, StepState::Succeeded, StepState::Succeeded),
    ] {
        let pipeline = Pipeline::new("p")
            .step(job("bad", json!({"ms": 10, "do": "fail"})).on_failure(policy))
            .step(job("long", json!({"ms": 1000})))
            .step(job("after-bad", json!({})).after("bad"))
            .step(job("after-after-bad", json!({})).after("after-bad"))
            .step(job("after-long", json!({})).after("long"));
        let result = platform.run(&pipeline).await.unwrap();
        assert_eq!(result.status, ComponentStatus::Failed);
        let expected = [StepState::Failed, long, StepState::Skipped, StepState::Skipped, after_long];
        assert_eq!(result.steps.iter().map(|step| step.state).collect::<Vec<_>>(), expected);
        let why = |name: &str| result.step(name).unwrap().error.clone().unwrap_or_default();
        assert_eq!(why("after-after-bad"), "it waits for `after-bad`, which was skipped");
        if policy == OnFailure::Abort {
            assert_eq!(why("long"), "the pipeline was ended because `bad` failed");
            assert_eq!(why("after-long"), "it waits for `long`, which was cancelled");
        }
        assert_eq!(running(&platform).await, 0);
    }
    stop(platform).await;
}

#[tokio::test]
async fn only_what_may_pass_is_tried_again() {
    let platform = platform().await;
    let retry = Retry::attempts(5).backoff(Duration::from_secs(1), Duration::from_secs(60));
    let flaky = Pipeline::new("p").step(job("a", json!({"do": "flaky", "id": "flaky"})).retry(retry));
    let began = Instant::now();
    let (run, mut events) = platform.run(&flaky).with_events();
    let result = run.await.unwrap().into_result().unwrap();
    // Pauses of 1 s and 2 s, each short of up to a half.
    let took = began.elapsed().as_millis();
    assert!((1500..3050).contains(&took), "{took}");
    assert_eq!(result.step("a").unwrap().attempts, 3);
    let mut retried = Vec::new();
    while let Some(event) = events.next().await {
        if let PipelineEventKind::StepRetried { attempt, error, .. } = event.kind {
            retried.push((attempt, error));
        }
    }
    assert_eq!(retried, [(1, "not yet".to_owned()), (2, "not yet".to_owned())]);

    for (script, on, attempts) in [
        ("refuse", RetryOn::Transient, 1),
        ("fail", RetryOn::Transient, 1),
        ("panic", RetryOn::Transient, 1),
        ("fail", RetryOn::Any, 5),
        ("panic", RetryOn::Any, 5),
        ("hang", RetryOn::Transient, 5),
    ] {
        let step = job("a", json!({"do": script})).retry(retry.on(on)).timeout(Duration::from_secs(1));
        let pipeline = Pipeline::new("p").step(step);
        let result = platform.run(&pipeline).await.unwrap();
        assert_eq!((result.is_success(), result.steps[0].attempts), (false, attempts), "{script}");
        assert_eq!(running(&platform).await, 0);
    }
    stop(platform).await;
}

#[tokio::test]
async fn a_deadline_of_a_step_covers_its_attempts() {
    let platform = platform().await;
    let retry = Retry::attempts(100).backoff(Duration::from_secs(2), Duration::from_secs(60));
    let step = job("a", json!({"do": "hang"})).retry(retry).timeout(Duration::from_secs(3));
    let step = step.deadline(Duration::from_secs(10));
    let began = Instant::now();
    let result = platform.run(&Pipeline::new("p").step(step)).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(10_100), "{:?}", began.elapsed());
    assert_eq!(result.steps[0].error_kind, Some(ErrorKind::Timeout));
    assert!((2..=3).contains(&result.steps[0].attempts), "{result}");
    assert_eq!(running(&platform).await, 0);
    stop(platform).await;
}

#[tokio::test]
async fn the_deadline_of_the_whole_ends_everything() {
    let platform = platform().await;
    let pipeline = Pipeline::new("p")
        .deadline(Duration::from_secs(2))
        .step(job("quick", json!({"ms": 10})))
        .step(job("hang", json!({"do": "hang"})))
        .step(job("next", json!({})).after("hang"));
    let began = Instant::now();
    let result = platform.run(&pipeline).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3));
    let expected = [("quick", StepState::Succeeded), ("hang", StepState::Cancelled), ("next", StepState::Skipped)];
    assert_eq!(states(&result), expected);
    let error = result.into_result().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("within 2s"), "{error}");
    assert_eq!(running(&platform).await, 0);
    stop(platform).await;
}

#[tokio::test]
async fn a_cancelled_run_leaves_nothing_running() {
    let platform = platform().await;
    let hanging = Arc::new(AtomicUsize::new(0));
    let counter = hanging.clone();
    let function = Step::call("function", move |_| {
        let running = Running::new(&counter);
        async move {
            let _running = running;
            std::future::pending().await
        }
    });
    let hour = Duration::from_secs(3600);
    let retry = Retry::attempts(9).backoff(hour, hour).on(RetryOn::Any);
    let pipeline = Pipeline::new("p")
        .step(job("plugin", json!({"do": "hang"})))
        .step(function)
        .step(job("pausing", json!({"do": "fail"})).retry(retry))
        .step(job("next", json!({})).after("plugin"));
    let token = CancellationToken::new();
    let cancel = async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!((running(&platform).await, hanging.load(Ordering::SeqCst)), (1, 1));
        token.cancel();
    };
    let (result, ()) = tokio::join!(platform.run(&pipeline).cancellation(token.clone()).into_future(), cancel);
    let result = result.unwrap();
    assert_eq!((running(&platform).await, hanging.load(Ordering::SeqCst)), (0, 0));
    assert_eq!(result.status, ComponentStatus::Cancelled);
    let expected = [StepState::Cancelled, StepState::Cancelled, StepState::Cancelled, StepState::Skipped];
    assert_eq!(result.steps.iter().map(|step| step.state).collect::<Vec<_>>(), expected);
    assert_eq!(result.into_result().unwrap_err().kind(), ErrorKind::Cancelled);

    // Dropping the future does the same.
    let run = tokio::time::timeout(Duration::from_secs(1), platform.run(&pipeline).into_future());
    assert!(run.await.is_err());
    sleep(Duration::from_millis(1)).await;
    assert_eq!((running(&platform).await, hanging.load(Ordering::SeqCst)), (0, 0));

    // One that was cancelled before runs nothing.
    let result = platform.run(&pipeline).cancellation(token).await.unwrap();
    assert!(result.steps.iter().all(|step| step.state == StepState::Skipped), "{result}");
    stop(platform).await;
}

#[tokio::test]
async fn a_stopped_platform_fails_the_step() {
    let platform = platform().await;
    tokio::time::resume();
    platform.shutdown().await.unwrap();
    let result = platform.run(&Pipeline::new("p").step(job("a", json!({})))).await.unwrap();
    assert_eq!(result.into_result().unwrap_err().kind(), ErrorKind::Stopped);
}

// ---------------------------------------------------------------------------------------------------------- records

/// A diamond with a tail, whose steps say who they are.
fn diamond() -> Pipeline {
    Pipeline::new("diamond")
        .parallelism(1)
        .step(job("a", json!({"id": "a"})))
        .step(job("b", json!({"id": "b", "from": "${steps.a.outputs.input.id}"})))
        .step(job("c", json!({"id": "c", "from": "${steps.a.outputs.input.id}"})))
        .step(job("d", json!({"id": "d", "from": ["${steps.b.outputs.input}", "${steps.c.outputs.input}"]})))
        .step(job("e", json!({"id": "e"})).after("d"))
}

#[tokio::test]
async fn a_run_is_continued_after_a_crash_at_any_byte() {
    let platform = platform().await;
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.jsonl");
    let first = platform.run(&diamond()).record(&whole).await.unwrap().into_result().unwrap();
    let bytes = fs::read(&whole).unwrap();
    // The start, five steps and the end.
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 7);
    let ends: Vec<usize> = (1..=bytes.len()).filter(|end| bytes[end - 1] == b'\n').collect();
    let mut cuts = vec![0, 1];
    cuts.extend(ends.iter().flat_map(|end| [end - 1, *end, end + 1]).filter(|cut| *cut <= bytes.len()));
    for cut in cuts {
        let torn = folder.path().join("torn.jsonl");
        fs::write(&torn, &bytes[..cut]).unwrap();
        let finished = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1).min(5);
        let mut before = Vec::new();
        for id in ["a", "b", "c", "d", "e"] {
            before.push(begun(&platform, id).await);
        }
        let result = platform.run(&diamond()).resume(&torn).await.unwrap().into_result().unwrap();
        for (position, id) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            let ran = begun(&platform, id).await - before[position];
            assert_eq!(ran, usize::from(position >= finished), "{id} after a crash at byte {cut}");
            assert_eq!(result.steps[position].restored, position < finished);
        }
        if cut >= ends[0] {
            assert_eq!(result.run_id, first.run_id);
        }
        let d = |result: &PipelineResult| result.step("d").unwrap().result.outputs["input"].clone();
        assert_eq!(d(&result), d(&first));
        // What is there now is a whole record again.
        let again = platform.run(&diamond()).resume(&torn).await.unwrap().into_result().unwrap();
        assert!(again.steps.iter().all(|step| step.restored));
    }
    stop(platform).await;
}

#[tokio::test]
async fn a_failed_run_continues_where_it_failed() {
    let platform = platform().await;
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("run.jsonl");
    let pipeline = |script: &str| {
        Pipeline::new("p").step(job("a", json!({"id": "once"}))).step(job("b", json!({"do": script})).after("a"))
    };
    assert!(!platform.run(&pipeline("fail")).record(&record).await.unwrap().is_success());
    // What has not finished may be changed.
    let result = platform.run(&pipeline("ok")).resume(&record).await.unwrap().into_result().unwrap();
    assert!(result.steps[0].restored && !result.steps[1].restored);
    assert_eq!(begun(&platform, "once").await, 1);
    stop(platform).await;
}

#[tokio::test]
async fn a_finished_step_that_was_changed_is_explained() {
    let platform = platform().await;
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("run.jsonl");
    let text = "\
name: p
input: {day: monday}
steps:
  - name: a
    plugin: worker
    input: {id: once, day: \"${input.day}\"}
  - name: b
    plugin: worker
    after: [a]
  - name: c
    plugin: worker
    after: [b]
    input: {do: fail}
";
    let pipeline = |text: &str| Pipeline::from_yaml(text).unwrap();
    assert!(!platform.run(&pipeline(text)).record(&record).await.unwrap().is_success());
    for (from, to, expected) in [
        ("once", "twice", vec![(Code::RecordMismatch, 6, "steps[0].input")]),
        ("monday", "tuesday", vec![(Code::RecordMismatch, 6, "steps[0].input")]),
        (
            "name: b\n    plugin: worker",
            "name: b\n    plugin: other",
            vec![(Code::RecordMismatch, 7, "steps[1].plugin")],
        ),
        ("name: a\n", "name: a2\n", vec![(Code::UnknownStep, 9, "steps[1].after[0]")]),
        ("name: p\n", "name: q\n", vec![(Code::RecordMismatch, 0, "name")]),
    ] {
        let error = platform.run(&pipeline(&text.replace(from, to))).resume(&record).await.unwrap_err();
        let expected: Vec<_> = expected.into_iter().map(|(code, line, path)| (code, line, path.to_owned())).collect();
        assert_eq!(places(&error), expected, "{error:?}");
    }
    let gone = text.replace("name: a\n", "name: a2\n").replace("[a]", "[a2]");
    let error = platform.run(&pipeline(&gone)).resume(&record).await.unwrap_err();
    assert!(format!("{error:?}").contains("`a`, which the pipeline has no more"), "{error:?}");
    assert!(format!("{error:?}").contains("run.jsonl:2"), "{error:?}");
    // What a result does not depend on may change.
    let other =
        text.replace("plugin: worker\n    after: [b]", "plugin: worker/worker\n    after: [b]\n    deadline: 1h");
    assert!(!platform.run(&pipeline(&other)).resume(&record).await.unwrap().is_success());
    assert_eq!(begun(&platform, "once").await, 1);
    stop(platform).await;
}

#[tokio::test]
async fn typed_data_is_made_again_when_a_step_needs_it() {
    let platform = platform().await;
    let folder = tempfile::tempdir().unwrap();
    let pipeline = |script: &str, takes: &str| {
        Pipeline::new("p")
            .parallelism(1)
            .step(job("load", json!({"id": "load", "do": "rows"})))
            .step(job("sum", json!({"id": "sum", "do": "sum"})).data("load"))
            .step(match takes {
                "" => job("last", json!({"do": script, "sum": "${steps.sum.outputs.sum}"})),
                takes => job("last", json!({"do": script})).data(takes).after("sum"),
            })
    };
    // The last step takes numbers only: nothing runs again.
    let record = folder.path().join("numbers.jsonl");
    assert!(!platform.run(&pipeline("fail", "")).record(&record).await.unwrap().is_success());
    let result = platform.run(&pipeline("ok", "")).resume(&record).await.unwrap().into_result().unwrap();
    assert_eq!((begun(&platform, "load").await, begun(&platform, "sum").await), (1, 1));
    assert_eq!(result.step("last").unwrap().result.outputs["input"]["sum"], 6);
    // It takes the rows: they are loaded again, but not summed again.
    let record = folder.path().join("rows.jsonl");
    assert!(!platform.run(&pipeline("fail", "load")).record(&record).await.unwrap().is_success());
    platform.run(&pipeline("sum", "load")).resume(&record).await.unwrap().require_success().unwrap();
    assert_eq!((begun(&platform, "load").await, begun(&platform, "sum").await), (3, 2));
    stop(platform).await;
}

#[tokio::test]
async fn a_step_whose_file_is_gone_runs_again() {
    let platform = platform().await;
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("run.jsonl");
    let pipeline = Pipeline::new("p").step(job("write", json!({"id": "write", "do": "file"})));
    let run = |resume: bool| {
        let run = platform.run(&pipeline).artifacts(folder.path().join("files"));
        if resume { run.resume(&record) } else { run.record(&record) }
    };
    let result = run(false).await.unwrap().into_result().unwrap();
    assert!(result.step("write").unwrap().result.artifacts["file"].ends_with("files/write/file"));
    assert!(run(true).await.unwrap().steps[0].restored);
    fs::remove_file(&result.step("write").unwrap().result.artifacts["file"]).unwrap();
    assert!(!run(true).await.unwrap().steps[0].restored);
    assert_eq!(begun(&platform, "write").await, 2);
    stop(platform).await;
}

#[tokio::test]
async fn numbers_come_back_to_the_bit() {
    let platform = platform().await;
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("run.jsonl");
    let pipeline = Pipeline::new("p").step(job("a", json!({"do": "nan"})));
    let _ = platform.run(&pipeline).record(&record).await.unwrap().into_result().unwrap();
    let result = platform.run(&pipeline).resume(&record).await.unwrap().into_result().unwrap();
    assert!(result.steps[0].restored);
    let metrics = &result.steps[0].result.metrics;
    assert!(metrics["nan"].is_nan() && metrics["tenth"] == 0.1, "{metrics:?}");
    stop(platform).await;
}

#[tokio::test]
async fn a_record_is_neither_overwritten_nor_shared_nor_believed_when_damaged() {
    let platform = platform().await;
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("run.jsonl");
    let pipeline = Pipeline::new("p").step(job("a", json!({"ms": 1000})));
    let _ = platform.run(&pipeline).record(&record).await.unwrap();
    let before = fs::read(&record).unwrap();
    let error = platform.run(&pipeline).record(&record).await.unwrap_err();
    assert!(error.to_string().contains("resume it"), "{error}");
    assert_eq!(fs::read(&record).unwrap(), before);

    let missing = platform.run(&pipeline).resume(folder.path().join("missing.jsonl")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(platform.run(&pipeline).resume(folder.path()).await.is_err());

    let shared = folder.path().join("shared.jsonl");
    let one = platform.run(&pipeline).record(&shared).into_future();
    let other = async {
        sleep(Duration::from_millis(500)).await;
        platform.run(&pipeline).resume(&shared).await
    };
    let (one, other) = tokio::join!(one, other);
    assert!(one.unwrap().is_success());
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Unavailable);

    for (line, text) in
        [(1, "{}"), (2, "not json"), (2, "{\"event\": \"step\", \"step\": \"a\", \"state\": \"succeeded\"}")]
    {
        let mut lines: Vec<String> = String::from_utf8(before.clone()).unwrap().lines().map(str::to_owned).collect();
        lines[line - 1] = text.to_owned();
        fs::write(&record, lines.join("\n") + "\n").unwrap();
        let error = platform.run(&pipeline).resume(&record).await.unwrap_err();
        assert_eq!(places(&error), [(Code::RecordDamaged, line as u32, String::new())], "{error:?}");
    }
    let text = String::from_utf8(before).unwrap().replace("\"format\":1", "\"format\":2");
    fs::write(&record, text).unwrap();
    assert!(format!("{:?}", platform.run(&pipeline).resume(&record).await.unwrap_err()).contains("newer program"));
    stop(platform).await;
}
