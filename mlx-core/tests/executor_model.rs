//! The executor of life-cycle steps under a model checker: its source is compiled here a second time, over shuttle's
//! mutex and threads, which decide at each step who goes on. A wake-up that is lost shows as a deadlock.
#![allow(clippy::unwrap_used)]

#[path = "../src/platform/executor.rs"]
#[allow(dead_code)]
mod executor;

/// Stands in for `src/platform/threads.rs`.
mod threads {
    use std::{future::Future, time::Duration};

    pub(crate) use shuttle::sync::{Mutex, MutexGuard};

    pub(crate) struct Runtime;

    impl Runtime {
        pub(crate) fn worker(&self, run: impl FnOnce() + Send + 'static) {
            shuttle::thread::spawn(run);
        }

        pub(crate) fn watch(&self, watch: impl Future<Output = ()> + Send + 'static) {
            shuttle::thread::spawn(move || shuttle::future::block_on(watch));
        }

        /// Any time at all.
        pub(crate) async fn sleep(_: Duration) {
            shuttle::thread::yield_now();
        }
    }
}

use executor::Executor;
use shuttle::{sync::Condvar, thread};
use std::{
    future::poll_fn,
    // What a test notes down must not be a step of the model.
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Poll, Waker},
};
use threads::{Mutex, Runtime};

fn check(property: fn()) {
    shuttle::check_random(property, 1000);
    shuttle::check_pct(property, 1000, 3);
}

/// Something that happens once, for tasks and for threads.
#[derive(Default)]
struct Event {
    state: Mutex<(bool, Option<Waker>)>,
    happened: Condvar,
}

impl Event {
    fn happen(&self) {
        let waker = {
            let mut state = self.state.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        self.happened.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn block(&self) {
        let mut state = self.state.lock().unwrap();
        while !state.0 {
            state = self.happened.wait(state).unwrap();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            state.1 = Some(cx.waker().clone());
            if state.0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await
    }
}

#[test]
fn no_wake_up_is_lost_and_no_task_is_polled_twice_at_once() {
    check(|| {
        let executor = Executor::new(Runtime);
        let (events, done): (Vec<Arc<Event>>, Vec<Arc<Event>>) =
            (0..3).map(|_| (Arc::<Event>::default(), Arc::<Event>::default())).unzip();
        let ended = Arc::new(AtomicUsize::new(0));
        for (event, done) in events.iter().zip(&done) {
            let (event, done, ended, polling) = (event.clone(), done.clone(), ended.clone(), AtomicBool::new(false));
            let mut inner = Box::pin(async move {
                event.wait().await;
                // Woken by itself, while it is being polled.
                let mut again = true;
                poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    if std::mem::take(&mut again) { Poll::Pending } else { Poll::Ready(()) }
                })
                .await;
            });
            executor.spawn(async move {
                poll_fn(|cx| {
                    assert!(!polling.swap(true, SeqCst), "polled by two threads");
                    thread::yield_now();
                    let poll = inner.as_mut().poll(cx);
                    polling.store(false, SeqCst);
                    poll
                })
                .await;
                ended.fetch_add(1, SeqCst);
                done.happen();
            });
        }
        for event in events {
            thread::spawn(move || event.happen());
        }
        done.iter().for_each(|done| done.block());
        assert_eq!(ended.load(SeqCst), 3, "each ends once");
    });
}

#[test]
fn what_blocks_holds_up_nothing_else() {
    check(|| {
        let executor = Executor::new(Runtime);
        let (release, done) = (Arc::<Event>::default(), Arc::<Event>::default());
        // Two that block until the last one has run.
        for _ in 0..2 {
            let (release, done) = (release.clone(), done.clone());
            executor.spawn(async move {
                release.block();
                done.happen();
            });
        }
        executor.spawn_trusted(async move { release.happen() });
        done.block();
    });
}

#[test]
fn what_comes_while_a_thread_blocks_gets_another() {
    check(|| {
        let executor = Executor::new(Runtime);
        let (release, done) = (Arc::<Event>::default(), Arc::<Event>::default());
        let (held, ended) = (release.clone(), done.clone());
        executor.spawn(async move {
            held.block();
            ended.happen();
        });
        let later = executor.clone();
        thread::spawn(move || later.spawn(async move { release.happen() }));
        done.block();
    });
}
