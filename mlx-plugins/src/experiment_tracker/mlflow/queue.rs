//! Metrics on their way to the server.

use crate::{http::ResponseError, mlflow::Server};
use mlx_core::prelude::*;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, watch};

/// How many metrics MLflow takes at once.
const BATCH: usize = 1000;

/// How long a server may fail at a batch before the batch is put aside. One that cannot be reached is waited for
/// without end.
const FAILING: Duration = Duration::from_secs(60);

/// The longest wait before a batch is sent again, when the server cannot be reached.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A queue of bounded length with one sender. What enters leaves in the same order, and only once the server has
/// confirmed it.
pub(super) struct Queue {
    state: Mutex<State>,
    capacity: usize,
    filled: Notify,
    emptied: Notify,
    /// How many entries have left, ever.
    left: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Arc<Entry>>,
    /// Metrics in all entries.
    metrics: usize,
    /// How many entries have come, ever.
    came: u64,
    /// What the server did not take, by run.
    refused: Vec<Refused>,
    closed: bool,
}

struct Entry {
    run: Arc<str>,
    metrics: Vec<Metric>,
}

struct Refused {
    run: Arc<str>,
    metrics: usize,
    error: Error,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Queue {
            state: Mutex::default(),
            capacity,
            filled: Notify::new(),
            emptied: Notify::new(),
            left: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave it half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes metrics, and waits for room when there is none.
    ///
    /// # Errors
    /// [`Stopped`](ErrorKind::Stopped) after [`close`](Queue::close).
    pub(super) async fn push(&self, run: &Arc<str>, mut metrics: Vec<Metric>) -> Result<()> {
        while metrics.len() > BATCH {
            let rest = metrics.split_off(BATCH);
            self.push_entry(Entry { run: run.clone(), metrics }).await?;
            metrics = rest;
        }
        if metrics.is_empty() { Ok(()) } else { self.push_entry(Entry { run: run.clone(), metrics }).await }
    }

    async fn push_entry(&self, entry: Entry) -> Result<()> {
        let mut entry = Some(Arc::new(entry));
        loop {
            // Before looking, so that room made in between is not missed.
            let emptied = self.emptied.notified();
            if self.enter(&mut entry)? {
                return Ok(());
            }
            emptied.await;
        }
    }

    fn enter(&self, entry: &mut Option<Arc<Entry>>) -> Result<bool> {
        let mut state = self.state();
        if state.closed {
            return Err(Error::stopped("the tracker has been stopped, and takes no more metrics"));
        }
        let length = entry.as_ref().map_or(0, |entry| entry.metrics.len());
        if state.metrics > 0 && state.metrics + length > self.capacity {
            return Ok(false);
        }
        state.entries.extend(entry.take());
        state.metrics += length;
        state.came += 1;
        drop(state);
        self.filled.notify_one();
        Ok(true)
    }

    /// How many metrics are under way.
    pub(super) fn len(&self) -> usize {
        self.state().metrics
    }

    /// Waits until everything that came before has left.
    pub(super) async fn settle(&self) {
        let came = self.state().came;
        // The sender lives as long as the queue.
        let _ = self.left.subscribe().wait_for(|left| *left >= came).await;
    }

    /// Waits until everything that came before has left, and says what of this run the server did not take.
    ///
    /// # Errors
    /// What the server said of it.
    pub(super) async fn flush(&self, run: &str) -> Result<()> {
        self.settle().await;
        let mut state = self.state();
        let Some(position) = state.refused.iter().position(|refused| *refused.run == *run) else { return Ok(()) };
        let Refused { metrics, error, .. } = state.refused.swap_remove(position);
        Err(error.context(format!("{metrics} metrics of the run {run} were not recorded")))
    }

    /// Refuses what comes from now on, and waits until everything has left.
    pub(super) async fn close(&self) {
        let came = {
            let mut state = self.state();
            state.closed = true;
            state.came
        };
        self.emptied.notify_waiters();
        let _ = self.left.subscribe().wait_for(|left| *left >= came).await;
    }

    /// Takes what was never asked for with [`flush`](Queue::flush): runs, with what the server did not take of them.
    pub(super) fn refused(&self) -> Vec<Error> {
        let refused = std::mem::take(&mut self.state().refused);
        refused
            .into_iter()
            .map(|Refused { run, metrics, error }| {
                error.context(format!("{metrics} metrics of the run {run} were not recorded"))
            })
            .collect()
    }

    /// Sends what comes, until the future is dropped. A batch that cannot be delivered now is sent again until it is;
    /// one that the server refuses is put aside.
    pub(super) async fn deliver(&self, server: &Server) {
        let mut pause = Duration::ZERO;
        let mut failing: Option<Instant> = None;
        loop {
            let filled = self.filled.notified();
            let batch = self.batch();
            let Some(run) = batch.first().map(|first| first.run.clone()) else {
                filled.await;
                continue;
            };
            let metrics: Vec<JsonValue> = batch.iter().flat_map(|entry| &entry.metrics).map(super::wire).collect();
            let count = metrics.len();
            let body = json!({"run_id": &*run, "metrics": metrics});
            // MLflow keeps a metric with the same name, value, step and time once: sending it twice does no harm.
            let sent = server.post("runs/log-batch", &body, true).await;
            match sent {
                Err(error) if Self::is_worth_a_wait(&error, &mut failing) => {
                    pause = (pause * 2).clamp(Duration::from_millis(50), LONGEST_PAUSE);
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(error) => self.put_aside(run, count, error),
                Ok(_) => {}
            }
            (pause, failing) = (Duration::ZERO, None);
            self.leave(batch.len(), count);
        }
    }

    fn is_worth_a_wait(error: &Error, failing: &mut Option<Instant>) -> bool {
        match ResponseError::of(error) {
            _ if error.kind().is_transient() => true,
            // A server that comes up, or whose database is away, fails for a while.
            Some(response) if response.status >= 500 => failing.get_or_insert_with(Instant::now).elapsed() < FAILING,
            _ => false,
        }
    }

    /// The first entries that are of one run. They are shared, so that callers wait for the lock only briefly.
    fn batch(&self) -> Vec<Arc<Entry>> {
        let state = self.state();
        let mut batch: Vec<Arc<Entry>> = Vec::new();
        let mut metrics = 0;
        for entry in &state.entries {
            metrics += entry.metrics.len();
            if batch.first().is_some_and(|first| first.run != entry.run || metrics > BATCH) {
                break;
            }
            batch.push(entry.clone());
        }
        batch
    }

    fn leave(&self, entries: usize, metrics: usize) {
        let mut state = self.state();
        let gone: Vec<Arc<Entry>> = state.entries.drain(..entries).collect();
        state.metrics -= metrics;
        drop(state);
        drop(gone);
        self.emptied.notify_waiters();
        self.left.send_modify(|left| *left += entries as u64);
    }

    fn put_aside(&self, run: Arc<str>, metrics: usize, error: Error) {
        let mut state = self.state();
        match state.refused.iter_mut().find(|refused| refused.run == run) {
            Some(refused) => refused.metrics += metrics,
            None => state.refused.push(Refused { run, metrics, error }),
        }
    }
}
