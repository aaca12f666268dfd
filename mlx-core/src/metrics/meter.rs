//! What is counted about each operation of one plugin.

use super::histogram::Histogram;
use std::{
    fmt, iter,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Counts the operations of one plugin, over all instances that have taken its place.
pub struct Meter {
    /// For spans alone.
    #[cfg_attr(not(feature = "tracing"), allow(dead_code))]
    plugin: Arc<str>,
    first: Link,
}

/// An operation, which has the next one. They are few, and only ever added to.
type Link = OnceLock<Arc<Operation>>;

struct Operation {
    name: &'static str,
    errors: AtomicU64,
    cancelled: AtomicU64,
    durations: Histogram,
    next: Link,
}

impl Meter {
    /// For the plugin with this type and id, `data_source/sqlite`. Nothing is counted yet.
    pub fn new(plugin: impl Into<Arc<str>>) -> Self {
        Meter { plugin: plugin.into(), first: Link::new() }
    }

    /// Begins to measure an operation, until the timer is stopped.
    pub fn start(&self, operation: &'static str) -> Timer {
        Timer {
            running: Some((self.operation(operation), Instant::now())),
            #[cfg(feature = "tracing")]
            span: tracing::info_span!(target: "mlx", "operation", plugin = &*self.plugin, operation),
        }
    }

    fn operation(&self, name: &'static str) -> Arc<Operation> {
        let mut link = &self.first;
        loop {
            let operation = link.get_or_init(|| Arc::new(Operation::new(name)));
            if operation.name == name {
                return operation.clone();
            }
            link = &operation.next;
        }
    }

    /// What was counted so far, by name.
    pub fn snapshot(&self) -> Vec<OperationMetrics> {
        let operations = iter::successors(self.first.get(), |operation| operation.next.get());
        let mut metrics: Vec<OperationMetrics> = operations.map(|operation| operation.snapshot()).collect();
        metrics.sort_by_key(|metrics| metrics.operation);
        metrics
    }
}

impl Operation {
    fn new(name: &'static str) -> Self {
        let (errors, cancelled) = (AtomicU64::new(0), AtomicU64::new(0));
        Operation { name, errors, cancelled, durations: Histogram::new(), next: Link::new() }
    }

    fn snapshot(&self) -> OperationMetrics {
        let durations = self.durations.snapshot();
        OperationMetrics {
            operation: self.name,
            completed: durations.count,
            errors: self.errors.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            total: durations.total(),
            p50: durations.quantile(0.5),
            p90: durations.quantile(0.9),
            p99: durations.quantile(0.99),
            max: durations.max(),
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.snapshot()).finish()
    }
}

/// An operation that is under way. Dropped without being stopped, it counts as cancelled.
#[must_use = "an operation that is not stopped counts as cancelled"]
pub struct Timer {
    running: Option<(Arc<Operation>, Instant)>,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl Timer {
    /// Measures nothing.
    pub const fn off() -> Self {
        Timer {
            running: None,
            #[cfg(feature = "tracing")]
            span: tracing::Span::none(),
        }
    }

    /// Runs the operation in its span, with the feature `tracing`.
    #[cfg(feature = "tracing")]
    pub(crate) fn around<F: Future>(&self, operation: F) -> tracing::instrument::Instrumented<F> {
        tracing::Instrument::instrument(operation, self.span.clone())
    }

    /// Runs the operation in its span, with the feature `tracing`.
    #[cfg(not(feature = "tracing"))]
    #[inline]
    pub(crate) fn around<F: Future>(&self, operation: F) -> F {
        operation
    }

    /// As [`around`](Self::around), for what is not async.
    #[inline]
    pub(crate) fn within<T>(&self, operation: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _entered = self.span.enter();
        operation()
    }

    /// The operation is complete, well or not.
    #[inline]
    pub fn stop(&mut self, succeeded: bool) {
        if let Some((operation, began)) = self.running.take() {
            complete(&operation, began, succeeded);
        }
    }
}

#[cold]
fn complete(operation: &Operation, began: Instant, succeeded: bool) {
    operation.durations.record(began.elapsed());
    if !succeeded {
        operation.errors.fetch_add(1, Relaxed);
    }
}

impl Drop for Timer {
    #[inline]
    fn drop(&mut self) {
        if let Some((operation, began)) = self.running.take() {
            match thread::panicking() {
                true => complete(&operation, began, false),
                false => _ = operation.cancelled.fetch_add(1, Relaxed),
            }
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timer").field(&self.running.as_ref().map(|(operation, _)| operation.name)).finish()
    }
}

/// What was counted about one operation.
///
/// Durations come from a histogram and are at most a sixteenth too long; `total` and `max` are exact up to 73 minutes,
/// which is what a longer operation counts as.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationMetrics {
    /// `initialize`, `execute` or `shutdown`, or a method of a contract: `data_source.query`.
    pub operation: &'static str,
    /// How often it was completed, well or not.
    pub completed: u64,
    /// How many of these ended with an error or a panic.
    pub errors: u64,
    /// How often it was begun and given up: its caller stopped waiting.
    pub cancelled: u64,
    /// What all completed ones took together.
    pub total: Duration,
    /// Half of them took no longer.
    pub p50: Duration,
    /// Nine of ten took no longer.
    pub p90: Duration,
    /// Ninety-nine of a hundred took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_apart() {
        let meter = Meter::new("data_source/test");
        meter.start("query").stop(true);
        meter.start("query").stop(false);
        drop(meter.start("query"));
        meter.start("load").stop(true);
        let mut timer = meter.start("load");
        timer.stop(true);
        drop(timer);
        let found: Vec<_> =
            meter.snapshot().iter().map(|m| (m.operation, m.completed, m.errors, m.cancelled)).collect();
        assert_eq!(found, [("load", 2, 0, 0), ("query", 2, 1, 1)]);
    }

    #[test]
    fn a_panic_is_an_error() {
        let meter = Meter::new("data_source/test");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _timer = meter.start("query");
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!((meter.snapshot()[0].completed, meter.snapshot()[0].errors), (1, 1));
    }

    #[test]
    fn threads_count_together() {
        let meter = Meter::new("data_source/test");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| meter.start("query").stop(true)));
            }
        });
        assert_eq!(meter.snapshot()[0].completed, 4000);
    }
}
