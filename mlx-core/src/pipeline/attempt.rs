//! One step: its attempts, their pauses and deadlines.

use super::{
    PipelineEventKind,
    check::unknown,
    document::{Call, Step},
    event::Events,
};
use crate::{
    diagnostics::{Code, Diagnostic, Error, Result, panic_message},
    plugin::{ComponentResult, ExecutionContext, Peers},
    resilience::Retry,
};
use std::{future::Future, pin::pin, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// How long something that was cancelled may take to notice.
pub(super) const AFTER_CANCEL: Duration = Duration::from_secs(10);

/// A step that is about to run.
pub(super) struct Attempts {
    pub(super) step: Step,
    pub(super) action: Action,
    pub(super) cx: ExecutionContext,
    pub(super) events: Events,
}

/// What an attempt does.
pub(super) enum Action {
    /// Executes the plugin `type/id`.
    Execute(Arc<dyn Peers>, String),
    Call(Arc<Call>),
}

/// How a step ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) attempts: u32,
    pub(super) duration: Duration,
}

pub(super) enum Outcome {
    Succeeded(ComponentResult),
    Failed(Error),
    Cancelled,
}

impl Attempts {
    /// Tries until it succeeds, must not be tried again, or is cancelled. Nothing it began runs on afterwards.
    pub(super) async fn run(self) -> Ended {
        let began = Instant::now();
        let end = self.step.deadline.and_then(|deadline| began.checked_add(deadline));
        let mut attempts = 0;
        let outcome = loop {
            attempts += 1;
            let error = match self.attempt(end).await {
                Ok(result) => break Outcome::Succeeded(result),
                Err(_) if self.cx.cancellation().is_cancelled() => break Outcome::Cancelled,
                Err(error) => error,
            };
            let again = |retry: &Retry| attempts < retry.max_attempts && retry.covers(error.kind());
            let Some(retry) = self.step.retry.filter(again) else { break Outcome::Failed(error) };
            let pause = retry.pause(attempts);
            if end.is_some_and(|end| Instant::now() + pause >= end) {
                break Outcome::Failed(error);
            }
            let (step, error) = (self.step.name().to_owned(), error.to_string());
            self.events.send(PipelineEventKind::StepRetried { step, attempt: attempts, error, pause });
            if self.cx.cancellation().run_until_cancelled(sleep(pause)).await.is_none() {
                break Outcome::Cancelled;
            }
        };
        Ended { outcome, attempts, duration: began.elapsed() }
    }

    async fn attempt(&self, end: Option<Instant>) -> Result<ComponentResult> {
        let token = self.cx.cancellation().child_token();
        let cx = self.cx.clone().with_cancellation(token.clone());
        let own = self.step.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let until = end.into_iter().chain(own).min();
        let result = match &self.action {
            Action::Execute(peers, plugin) => bounded(until, &token, peers.execute(plugin, cx)).await,
            Action::Call(call) => bounded(until, &token, contain(call.clone(), cx)).await,
        };
        let Some(result) = result else {
            let (what, deadline) = match (end, self.step.deadline) {
                (Some(end), Some(deadline)) if until == Some(end) => ("it", deadline),
                _ => ("an attempt", self.step.timeout.unwrap_or_default()),
            };
            return Err(Error::timeout(format!("{what} did not end within {deadline:?}")));
        };
        self.complete(result?)
    }

    /// Refuses a result that is no success, or lacks what the step declares.
    fn complete(&self, result: ComponentResult) -> Result<ComponentResult> {
        if !result.is_success() {
            let status = result.status.as_str();
            return Err(Error::failed(result.error.unwrap_or_else(|| format!("it ended as `{status}`"))));
        }
        let declared = self.step.outputs.iter().flatten();
        let missing: Vec<Diagnostic> = declared
            .enumerate()
            .filter(|(_, name)| !result.outputs.contains_key(name.as_str()))
            .map(|(index, name)| {
                let message = format!("the declared output `{}` was not delivered", name.value);
                unknown(Code::UnknownOutput, message, name, result.outputs.keys().map(String::as_str))
                    .at(name.location.as_ref())
                    .in_path(format!("{}.outputs[{index}]", self.step.path))
            })
            .collect();
        if missing.is_empty() {
            return Ok(result);
        }
        Err(Error::invalid("it did not deliver what it declares").with_diagnostics(missing))
    }
}

/// Waits until `end`; then cancels the work, and waits until it has noticed.
async fn bounded<T>(end: Option<Instant>, token: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    let Some(end) = end else { return Some(work.await) };
    let mut work = pin!(work);
    if let Ok(value) = timeout_at(end, work.as_mut()).await {
        return Some(value);
    }
    token.cancel();
    // A function that blocks its thread cannot be made to end.
    let _ = timeout(AFTER_CANCEL, work).await;
    None
}

/// Calls a function in a task of its own, as the platform executes a plugin.
async fn contain(call: Arc<Call>, cx: ExecutionContext) -> Result<ComponentResult> {
    let token = cx.cancellation().clone();
    let mut task = JoinSet::new();
    task.spawn(async move { token.run_until_cancelled(async { call(cx).await }).await });
    match task.join_next().await {
        Some(Ok(Some(result))) => result,
        Some(Err(error)) if error.is_panic() => {
            let message = panic_message(error.into_panic().as_ref());
            Err(Error::internal(format!("it panicked: {message}")))
        }
        _ => Err(Error::cancelled("it was cancelled")),
    }
}
