//! One step: its attempts, their pauses and deadlines.

use super::{
    PipelineEventKind, Retries, RetryOn,
    check::unknown,
    document::{Call, Step},
    event::Events,
};
use crate::{
    diagnostics::{Code, Diagnostic, Error, ErrorKind, Result, panic_message},
    plugin::{ComponentResult, ExecutionContext, Peers},
};
use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// How long something that was cancelled may take to notice.
pub(super) const AFTER_CANCEL: Duration = Duration::from_secs(10);

/// No pause is longer; sums of times stay far from their limits.
const LONGEST_PAUSE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

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
        let retries = &self.step.retries;
        let mut attempts = 0;
        let outcome = loop {
            attempts += 1;
            let error = match self.attempt(end).await {
                Ok(result) => break Outcome::Succeeded(result),
                Err(_) if self.cx.cancellation().is_cancelled() => break Outcome::Cancelled,
                Err(error) => error,
            };
            let pause = pause(retries, attempts);
            let in_time = end.is_none_or(|end| Instant::now() + pause < end);
            if attempts >= retries.attempts || !retryable(retries.on, error.kind()) || !in_time {
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
        let own = self.step.retries.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
        let until = end.into_iter().chain(own).min();
        let result = match &self.action {
            Action::Execute(peers, plugin) => bounded(until, &token, peers.execute(plugin, cx)).await,
            Action::Call(call) => bounded(until, &token, contain(call.clone(), cx)).await,
        };
        let Some(result) = result else {
            let (what, deadline) = match (end, self.step.deadline) {
                (Some(end), Some(deadline)) if until == Some(end) => ("it", deadline),
                _ => ("an attempt", self.step.retries.deadline.unwrap_or_default()),
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

fn retryable(on: RetryOn, kind: ErrorKind) -> bool {
    match on {
        RetryOn::Transient => kind.is_transient(),
        RetryOn::Any => kind != ErrorKind::Cancelled,
    }
}

/// The pause after an attempt: exponential, with "equal jitter" (M. Brooker, "Exponential backoff and jitter", AWS
/// Architecture Blog, 2015).
fn pause(retries: &Retries, attempt: u32) -> Duration {
    let doubled = retries.backoff.saturating_mul(2u32.saturating_pow(attempt - 1));
    let half = doubled.min(retries.max_backoff).min(LONGEST_PAUSE) / 2;
    // The hasher's keys are random.
    let random = RandomState::new().hash_one(attempt) as f64 / u64::MAX as f64;
    half + half.mul_f64(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_lose_at_most_half() {
        let retries = Retries::attempts(9).backoff(Duration::from_millis(100)).max_backoff(Duration::from_millis(300));
        for (attempt, nominal) in [(1, 100), (2, 200), (3, 300), (40, 300), (u32::MAX, 300)] {
            let pause = pause(&retries, attempt);
            let nominal = Duration::from_millis(nominal);
            assert!(pause >= nominal / 2 && pause <= nominal, "{attempt}: {pause:?}");
        }
    }

    #[test]
    fn a_pause_without_end_is_bounded() {
        let retries = Retries::attempts(2).backoff(Duration::MAX).max_backoff(Duration::MAX);
        assert!(pause(&retries, u32::MAX) <= LONGEST_PAUSE);
    }

    #[test]
    fn what_is_tried_again() {
        use ErrorKind::*;
        for (kind, transient, any) in [
            (Unavailable, true, true),
            (Timeout, true, true),
            (Failed, false, true),
            (Internal, false, true),
            (Invalid, false, true),
            (Cancelled, false, false),
        ] {
            assert_eq!(
                (retryable(RetryOn::Transient, kind), retryable(RetryOn::Any, kind)),
                (transient, any),
                "{kind:?}"
            );
        }
    }
}
