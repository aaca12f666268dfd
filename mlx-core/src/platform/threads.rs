//! What the executor needs of threads and of the runtime. The model check brings its own module of this name.

use std::{future::Future, time::Duration};
use tokio::runtime::Handle;

pub(super) use std::sync::{Mutex, MutexGuard};

/// The runtime whose blocking pool, timers and workers are used.
pub(super) struct Runtime(pub(super) Handle);

impl Runtime {
    /// Runs a worker of the executor.
    pub(super) fn worker(&self, run: impl FnOnce() + Send + 'static) {
        self.0.spawn_blocking(run);
    }

    /// Runs the watch over the workers, where none of them can block it.
    pub(super) fn watch(&self, watch: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(watch);
    }

    pub(super) async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
