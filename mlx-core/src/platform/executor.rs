//! Drives futures of which each may block the thread that polls it.
//!
//! One thread of the blocking pool polls them all, one after another, and ends when none is ready: a step that does
//! what it should costs no thread of its own. As soon as a poll does not return, further threads take over what is
//! ready beside it, twice as many each time, so that what blocks holds up nothing but itself.
//!
//! Not the workers of the runtime: one that blocks can be the very worker that drives the timers, and with them its own
//! deadline.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::{Future, poll_fn},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use super::threads::{Mutex, MutexGuard, Runtime};

/// How long a poll may take before others are no longer kept waiting for it.
const PATIENCE: Duration = Duration::from_millis(1);

/// How often a look is taken while nothing waits.
const REST: Duration = Duration::from_millis(20);

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Executor {
    runtime: Runtime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<Task>>,
    /// Threads that poll, or are about to.
    workers: usize,
    /// Polls begun.
    polls: u64,
    /// Polls begun when the watch last looked.
    seen: u64,
    /// No poll was begun between two looks of the watch: whatever gets ready needs another thread.
    stuck: bool,
    /// Whether there is a watch.
    watched: bool,
}

struct Task {
    executor: Arc<Executor>,
    /// Ours: never blocks.
    trusted: bool,
    phase: Mutex<Phase>,
}

enum Phase {
    Waiting(BoxFuture),
    Ready(BoxFuture),
    Running { woken: bool },
    Ended,
}

thread_local! {
    /// The executor that polls on this thread.
    static CURRENT: RefCell<Option<Arc<Executor>>> = const { RefCell::new(None) };
}

impl Executor {
    pub(super) fn new(runtime: Runtime) -> Arc<Self> {
        Arc::new(Executor { runtime, state: Mutex::default() })
    }

    /// The executor that polls the caller, if one does.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Drives a future that may block, and contains its panics.
    pub(super) fn spawn(self: &Arc<Self>, future: impl Future<Output = ()> + Send + 'static) {
        self.add(false, Box::pin(future));
    }

    /// Drives a future that never blocks. It goes on, on a worker of the runtime, where no thread can be had.
    pub(super) fn spawn_trusted(self: &Arc<Self>, future: impl Future<Output = ()> + Send + 'static) {
        self.add(true, Box::pin(future));
    }

    fn add(self: &Arc<Self>, trusted: bool, future: BoxFuture) {
        let phase = Mutex::new(Phase::Ready(future));
        self.push(Arc::new(Task { executor: self.clone(), trusted, phase }));
    }

    /// No foreign code runs under this lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, task: Arc<Task>) {
        let (start, watch) = {
            let mut state = self.state();
            state.ready.push_back(task);
            let start = state.workers == 0 || mem::take(&mut state.stuck);
            state.workers += usize::from(start);
            (start, start && !mem::replace(&mut state.watched, true))
        };
        if start {
            self.start_worker();
        }
        if watch {
            let executor = self.clone();
            self.runtime.watch(async move {
                let mut pause = PATIENCE;
                loop {
                    Runtime::sleep(pause).await;
                    match executor.look() {
                        Some(next) => pause = next,
                        None => break,
                    }
                }
            });
        }
    }

    fn start_worker(self: &Arc<Self>) {
        let mut worker = Worker { executor: self.clone(), ended: false };
        self.runtime.worker(move || worker.run());
    }

    /// Helps where a poll does not return. Returns when to look again, or nothing when all threads have ended.
    pub(super) fn look(self: &Arc<Self>) -> Option<Duration> {
        let (more, trusted) = {
            let mut state = self.state();
            if state.workers == 0 {
                state.watched = false;
                return None;
            }
            let polls = state.polls;
            if mem::replace(&mut state.seen, polls) != polls {
                return Some(PATIENCE);
            }
            if state.ready.is_empty() {
                state.stuck = true;
                return Some(REST);
            }
            // Where the pool has no thread left, ours must go on all the same: it holds the deadlines.
            let trusted = state.ready.iter().position(|task| task.trusted);
            let trusted = trusted.and_then(|position| state.ready.remove(position));
            let more = state.workers.min(state.ready.len());
            state.workers += more;
            (more, trusted)
        };
        for _ in 0..more {
            self.start_worker();
        }
        if let Some(task) = trusted {
            let outer = CURRENT.replace(Some(self.clone()));
            task.poll();
            CURRENT.set(outer);
        }
        Some(PATIENCE)
    }
}

/// A thread that polls what is ready, until nothing is.
struct Worker {
    executor: Arc<Executor>,
    ended: bool,
}

impl Worker {
    fn run(&mut self) {
        CURRENT.set(Some(self.executor.clone()));
        while let Some(task) = self.next() {
            task.poll();
        }
        CURRENT.set(None);
    }

    fn next(&mut self) -> Option<Arc<Task>> {
        let mut state = self.executor.state();
        let task = state.ready.pop_front();
        state.stuck = false;
        match &task {
            Some(_) => state.polls += 1,
            None => {
                state.workers -= 1;
                self.ended = true;
            }
        }
        task
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // The runtime is shutting down and never ran it: nothing will.
        let forgotten = {
            let mut state = self.executor.state();
            state.workers -= 1;
            mem::take(&mut state.ready)
        };
        drop(forgotten);
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut phase = self.phase();
        match mem::replace(&mut *phase, Phase::Ended) {
            Phase::Waiting(future) => {
                *phase = Phase::Ready(future);
                drop(phase);
                let executor = self.executor.clone();
                executor.push(self);
            }
            Phase::Running { .. } => *phase = Phase::Running { woken: true },
            other => *phase = other,
        }
    }
}

impl Task {
    /// No foreign code runs under this lock.
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(self: Arc<Self>) {
        let Phase::Ready(mut future) = mem::replace(&mut *self.phase(), Phase::Running { woken: false }) else {
            return;
        };
        let waker = Waker::from(self.clone());
        let polled =
            catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()));
        if let Ok(true) = polled {
            let mut phase = self.phase();
            if matches!(*phase, Phase::Running { woken: true }) {
                *phase = Phase::Ready(future);
                drop(phase);
                let executor = self.executor.clone();
                executor.push(self);
            } else {
                *phase = Phase::Waiting(future);
            }
            return;
        }
        *self.phase() = Phase::Ended;
        // Apart from the poll: a second panic during the first one would end the program.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
    }
}

/// Futures that are driven side by side, and what becomes of them.
pub(super) struct Tasks<T> {
    executor: Arc<Executor>,
    running: usize,
    ended: Arc<Mutex<Ended<T>>>,
}

/// What has ended and was not asked for yet, and who waits for more.
struct Ended<T> {
    results: VecDeque<thread::Result<T>>,
    waiting: Option<Waker>,
}

impl<T: Send + 'static> Tasks<T> {
    pub(super) fn new(executor: Arc<Executor>) -> Self {
        let ended = Ended { results: VecDeque::new(), waiting: None };
        Tasks { executor, running: 0, ended: Arc::new(Mutex::new(ended)) }
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// Drives the future that is made there, which never blocks.
    pub(super) fn spawn<F: Future<Output = T> + Send>(&mut self, make: impl FnOnce() -> F + Send + 'static) {
        self.running += 1;
        let ended = self.ended.clone();
        self.executor.spawn_trusted(async move {
            // Not an argument, which the task would have room for twice.
            let mut future = pin!(Some(make()));
            let result = poll_fn(|cx| poll_contained(future.as_mut(), cx)).await;
            let waiting = {
                let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                ended.results.push_back(result);
                ended.waiting.take()
            };
            if let Some(waiting) = waiting {
                waiting.wake();
            }
        });
    }

    /// What the next one yielded, or its panic; nothing when all have ended.
    pub(super) async fn next(&mut self) -> Option<thread::Result<T>> {
        if self.running == 0 {
            return None;
        }
        let result = poll_fn(|cx| {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            match ended.results.pop_front() {
                Some(result) => Poll::Ready(result),
                None => {
                    let before = ended.waiting.replace(cx.waker().clone());
                    drop(ended);
                    drop(before);
                    Poll::Pending
                }
            }
        })
        .await;
        self.running -= 1;
        Some(result)
    }
}

/// Polls a future, and drops it when it has ended. Its panics, also those of its own drop, are its result.
pub(super) fn poll_contained<F: Future>(
    mut future: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<thread::Result<F::Output>> {
    let Some(running) = future.as_mut().as_pin_mut() else { return Poll::Pending };
    let polled = catch_unwind(AssertUnwindSafe(|| running.poll(cx)));
    if let Ok(Poll::Pending) = polled {
        return Poll::Pending;
    }
    let dropped = catch_unwind(AssertUnwindSafe(|| future.set(None)));
    match (polled, dropped) {
        // What it yielded may have to be stopped.
        (Ok(Poll::Ready(value)), _) => Poll::Ready(Ok(value)),
        (Err(payload), _) | (_, Err(payload)) => Poll::Ready(Err(payload)),
        (Ok(Poll::Pending), Ok(())) => Poll::Pending,
    }
}
