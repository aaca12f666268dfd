//! One step of a plugin's life, in a task of its own.
//!
//! A deadline around a future that blocks its thread never fires, and a panic would take the caller along; a task
//! of its own holds both.

use crate::diagnostics::{Code, Diagnostic, Error, ErrorKind, Result};
use std::{
    any::Any,
    future::Future,
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, time::timeout};
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

/// Runs a step. When its deadline has passed or it is cancelled, the step is dropped at its next pause; what it
/// yields after that is given to `abandon`, so that nothing stays open.
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
    let (answer, answered) = oneshot::channel();
    let given_up = cancellation.child_token();
    let watched = given_up.clone();
    let began = Instant::now();
    let task = tokio::spawn(async move {
        let result = tokio::select! {
            biased;
            result = step => result,
            () = watched.cancelled() => return,
        };
        // A step that blocks the only thread of a runtime also keeps the timer from firing.
        let unwanted = match began.elapsed() < deadline {
            true => answer.send(result).err(),
            false => {
                drop(answer);
                Some(result)
            }
        };
        if let Some(Ok(late)) = unwanted {
            abandon(late).await;
        }
    });
    match timeout(deadline, answered).await {
        Ok(Ok(result)) => result.map_err(StepError::Failed),
        Ok(Err(_)) => Err(match task.await {
            Err(error) if error.is_panic() => StepError::Panicked(panic_message(error.into_panic().as_ref())),
            _ if began.elapsed() >= deadline => StepError::Deadline(deadline),
            _ => StepError::Cancelled,
        }),
        Err(_) => {
            given_up.cancel();
            Err(StepError::Deadline(deadline))
        }
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "no message".to_owned(),
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
                diagnostic
            }
            StepError::Deadline(deadline) => {
                Diagnostic::error(Code::DeadlineExceeded, format!("`{who}` did not {doing} within {deadline:?}"))
            }
            StepError::Panicked(message) => {
                Diagnostic::error(Code::Panicked, format!("`{who}` panicked when it was to {doing}: {message}"))
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
