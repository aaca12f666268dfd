//! One step of a plugin's life, apart from everything else: it can panic, block or never end.

use super::{
    executor::{Executor, poll_contained},
    threads::Runtime,
};
use crate::diagnostics::{Code, Diagnostic, Error, ErrorKind, Result, panic_message};
use std::{
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::{JoinError, JoinHandle},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Why a step did not succeed.
pub(super) enum StepError {
    /// The plugin said so.
    Failed(Error),
    /// It took longer than this.
    Deadline(Duration),
    /// It panicked with this message.
    Panicked(String),
    /// It was given up.
    Cancelled,
}

/// The runtime that the caller is in. Timers and tasks panic without one.
pub(super) fn runtime() -> Result<Handle> {
    Handle::try_current().map_err(|_| {
        Error::unsupported("plugins need a tokio runtime: use `mlx_core::block_on`, or `#[tokio::main]` on `main`")
    })
}

/// The executor that drives the caller, or a new one.
pub(super) fn executor() -> Arc<Executor> {
    Executor::current().unwrap_or_else(|| Executor::new(Runtime(Handle::current())))
}

/// Runs work that consists of many steps, none of which it waits for other than by `await`. All its steps share their
/// threads. It goes on when the caller stops waiting.
pub(super) async fn together<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let (answer, answered) = oneshot::channel();
    executor().spawn_trusted(async move {
        let _ = answer.send(work.await);
    });
    answered.await.map_err(|_| Error::internal("the platform's own work was interrupted"))
}

/// Runs a step of the life cycle. When its deadline has passed, it is cancelled or the caller stops waiting, the step
/// is dropped at its next pause; what it yields after that is given to `abandon`, so that nothing stays open.
pub(super) async fn run<T, A>(
    deadline: Duration,
    cancellation: &CancellationToken,
    step: impl Future<Output = Result<T>> + Send + 'static,
    abandon: impl FnOnce(T) -> A + Send + 'static,
) -> Result<T, StepError>
where
    T: Send + 'static,
    A: Future<Output = ()> + Send,
{
    let (mut answer, mut answered) = oneshot::channel();
    let cancellation = cancellation.clone();
    let executor = executor();
    executor.spawn(async move {
        let mut step = pin!(Some(step));
        let ended = {
            let mut cancelled = pin!(cancellation.cancelled());
            poll_fn(|cx| match poll_contained(step.as_mut(), cx) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending if cancelled.as_mut().poll(cx).is_ready() => Poll::Ready(None),
                Poll::Pending => answer.poll_closed(cx).map(|()| None),
            })
            .await
        };
        let Some(ended) = ended else {
            // First, so that nobody finds it given up who could still see it at work.
            step.set(None);
            let _ = answer.send(Err(StepError::Cancelled));
            return;
        };
        let result = match ended {
            Ok(result) => result.map_err(StepError::Failed),
            Err(payload) => Err(StepError::Panicked(panic_message(payload.as_ref()))),
        };
        if let Err(Ok(late)) = answer.send(result) {
            // Rare, and so not in the room that each of these tasks takes.
            Box::pin(abandon(late)).await;
        }
    });
    // Its time begins with its turn, and what is ready then needs no timer.
    let answer = match if_soon(&mut answered).await {
        Some(answer) => Ok(answer),
        None => Box::pin(timeout(deadline, &mut answered)).await,
    };
    match answer {
        Ok(answer) => answer.unwrap_or(Err(StepError::Cancelled)),
        Err(_) => {
            // What arrives between the two would be lost otherwise.
            answered.close();
            answered.try_recv().unwrap_or(Err(StepError::Deadline(deadline)))
        }
    }
}

/// What the future yields, if it does once all that is ready now has been polled.
async fn if_soon<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    let mut waited = false;
    poll_fn(|cx| match Pin::new(&mut future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if mem::replace(&mut waited, true) => Poll::Ready(None),
        Poll::Pending => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Runs a job that may take as long as it likes, until it is cancelled.
pub(super) async fn contain<T: Send + 'static>(
    cancellation: CancellationToken,
    job: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T, StepError> {
    let task = tokio::spawn(async move { cancellation.run_until_cancelled(job).await });
    // A caller who stops waiting ends the job.
    let mut task = AbortOnDrop(task);
    match (&mut task.0).await {
        Ok(Some(result)) => result.map_err(StepError::Failed),
        Ok(None) => Err(StepError::Cancelled),
        Err(error) => Err(interrupted(error)),
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn interrupted(error: JoinError) -> StepError {
    match error.try_into_panic() {
        Ok(payload) => StepError::Panicked(panic_message(payload.as_ref())),
        Err(_) => StepError::Cancelled,
    }
}

impl StepError {
    /// The finding: `who` is the plugin, `doing` what it was to do, `code` what a plain failure is called.
    pub(super) fn diagnostic(&self, who: &str, doing: &str, code: Code) -> Diagnostic {
        match self {
            StepError::Failed(error) => {
                let mut diagnostic = Diagnostic::error(code, format!("`{who}` did not {doing}: {error}"));
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    let text = format!("caused by: {error}");
                    if !diagnostic.message.ends_with(&error.to_string()) {
                        diagnostic = diagnostic.related(text, None);
                    }
                    cause = error.source();
                }
                match code {
                    Code::StartFailed => diagnostic.help(
                        "mend the cause, or set `on_failure: continue` if the platform can do without the plugin",
                    ),
                    Code::StopFailed => diagnostic
                        .help("see whether it left something behind; everything else was stopped all the same"),
                    Code::SecretUnavailable => {
                        diagnostic.help(format!("store it in `{who}`, or correct its name in the reference"))
                    }
                    _ => diagnostic,
                }
            }
            StepError::Deadline(deadline) => {
                let message = format!("`{who}` did not {doing} within {deadline:?}");
                let diagnostic = Diagnostic::error(Code::DeadlineExceeded, message);
                match doing {
                    "stop" => diagnostic.help("if it needs longer, raise its `stop_timeout`"),
                    _ => diagnostic,
                }
            }
            StepError::Panicked(message) => {
                Diagnostic::error(Code::Panicked, format!("`{who}` panicked when it was to {doing}: {message}"))
                    .help("this is a mistake in the plugin: tell its author")
            }
            StepError::Cancelled => Diagnostic::error(code, format!("`{who}` was given up before it could {doing}")),
        }
    }

    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            StepError::Failed(error) => error.kind(),
            StepError::Deadline(_) => ErrorKind::Timeout,
            StepError::Panicked(_) => ErrorKind::Internal,
            StepError::Cancelled => ErrorKind::Cancelled,
        }
    }

    /// The error for whoever asked for the step.
    pub(super) fn into_error(self, who: &str, doing: &str) -> Error {
        match self {
            StepError::Failed(error) => error,
            other => Error::new(other.kind(), other.diagnostic(who, doing, Code::StartFailed).message),
        }
    }
}
