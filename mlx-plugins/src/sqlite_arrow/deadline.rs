//! Blocking work that stops when its time is over or nobody waits for it any more.

use mlx_core::{Error, Result};
use rusqlite::Connection;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Virtual machine instructions between two looks at the clock: some microseconds of work.
const INSTRUCTIONS: i32 = 1000;

/// Until when a piece of work may go on.
pub(crate) struct Deadline {
    limit: Duration,
    /// `None` is never: the limit is beyond what the clock can tell.
    at: Option<Instant>,
    abandoned: AtomicBool,
}

impl Deadline {
    /// A deadline after `limit` from now.
    pub(crate) fn after(limit: Duration) -> Arc<Self> {
        Arc::new(Deadline { limit, at: Instant::now().checked_add(limit), abandoned: AtomicBool::new(false) })
    }

    fn is_over(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) || self.at.is_some_and(|at| Instant::now() >= at)
    }

    /// Fails when the work must stop.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_over() { Err(self.error()) } else { Ok(()) }
    }

    /// Why the work was stopped.
    pub(crate) fn error(&self) -> Error {
        if self.abandoned.load(Ordering::Relaxed) {
            return Error::cancelled("the query was cancelled");
        }
        Error::timeout(format!("the query did not finish within {:?} and was cancelled", self.limit))
    }

    /// Makes SQLite stop what runs on the connection once the deadline is over.
    ///
    /// A progress handler and not an interrupt handle: an interrupt that comes before the statement has begun is
    /// lost, and one that comes after it has ended would hit whoever uses the connection next.
    pub(crate) fn watch(self: &Arc<Self>, connection: &mut Connection) -> Result<()> {
        let deadline = self.clone();
        connection.progress_handler(INSTRUCTIONS, Some(move || deadline.is_over())).map_err(Error::wrap)
    }

    /// Ends [`watch`](Deadline::watch).
    #[cfg(any(feature = "data-source-sqlite", feature = "data-source-files"))]
    pub(crate) fn unwatch(connection: &mut Connection) -> Result<()> {
        connection.progress_handler(0, None::<fn() -> bool>).map_err(Error::wrap)
    }
}

/// Whoever waited is gone when this is dropped.
struct Waiting(Arc<Deadline>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
    }
}

/// Does blocking work on a thread for such, for at most `limit`. Dropping the future stops it as well.
///
/// # Errors
/// [`Timeout`](mlx_core::ErrorKind::Timeout), or what the work reports.
pub(crate) async fn run<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce(&Arc<Deadline>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let deadline = Deadline::after(limit);
    let waiting = Waiting(deadline.clone());
    let task = tokio::task::spawn_blocking(move || work(&deadline));
    match tokio::time::timeout(limit, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) if error.is_cancelled() => Err(Error::cancelled("the program is shutting down")),
        Ok(Err(_)) => Err(Error::internal("a query panicked")),
        Err(_) => Err(waiting.0.error()),
    }
}
