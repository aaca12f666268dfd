//! A runtime for programs that have none of their own.

use crate::diagnostics::{Error, Result};
use std::time::Duration;
use tokio::runtime::{Builder, Handle};

/// How long the end of [`block_on`] waits for threads that a plugin left busy.
const LEFT_BUSY: Duration = Duration::from_secs(5);

/// Runs a program's future to its end, on a multi-threaded tokio runtime made for it:
///
/// ```
/// use mlx_core::prelude::*;
///
/// fn main() -> Result<()> {
///     mlx_core::block_on(async {
///         let platform = registry().activate(Composition::from_yaml("plugins: []")?).await?;
///         platform.shutdown().await
///     })
/// }
/// ```
///
/// It is for a `main` that does not depend on tokio itself; under `#[tokio::main]` there is no need for it. Nothing
/// in this crate calls it. Tasks that still run when the future is done are dropped. Threads that are still busy by
/// then, in a blocking call of a plugin, are waited for at most five seconds.
///
/// # Errors
/// The future's own; [`Unsupported`](crate::ErrorKind::Unsupported) inside a runtime, where blocking would stop
/// other tasks; [`Unavailable`](crate::ErrorKind::Unavailable) if the system grants no threads.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    if Handle::try_current().is_ok() {
        return Err(Error::unsupported("`block_on` was called inside a tokio runtime: `.await` the future instead"));
    }
    #[cfg(not(target_family = "wasm"))]
    let mut builder = Builder::new_multi_thread();
    #[cfg(target_family = "wasm")]
    let mut builder = Builder::new_current_thread();
    let runtime = builder
        .thread_name("mlx")
        .enable_all()
        .build()
        .map_err(|error| Error::from(error).context("starting the runtime"))?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(LEFT_BUSY);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::ErrorKind;
    use std::thread;

    #[test]
    fn the_future_may_spawn_sleep_and_borrow() {
        let text = String::from("borrowed");
        let answer = block_on(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let length = tokio::spawn(async { 8 }).await.map_err(Error::wrap)?;
            Ok(text.len() == length)
        });
        assert!(answer.unwrap());
    }

    #[test]
    fn a_failure_is_returned() {
        let error = block_on::<()>(async { Err(Error::denied("no")) }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
    }

    #[test]
    fn inside_a_runtime_it_is_refused_instead_of_panicking() {
        let error = block_on::<()>(async { block_on(async { Ok(()) }) }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_blocked_task_does_not_block_the_others() {
        let answer = block_on(async {
            let blocked = tokio::spawn(async { thread::sleep(Duration::from_millis(300)) });
            let timely = tokio::time::timeout(Duration::from_millis(200), async { 1 }).await;
            assert!(!blocked.is_finished());
            timely.map_err(Error::wrap)
        });
        assert_eq!(answer.unwrap(), 1);
    }
}
