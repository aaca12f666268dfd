//! The lease, borrow, publish, drain and cancel steps under a model checker.
//!
//! The sources of the algorithm are compiled here a second time, over shuttle's mutex and atomics,
//! so that shuttle decides at each of their steps which thread goes on. Each property is tried
//! under thousands of schedules, random ones and ones with few, well-placed preemptions (PCT). A
//! wake-up that is lost shows as a deadlock, which shuttle reports.
//!
//! Of arc-swap, which has tests of its own, its promise stands in: loading and exchanging are single steps, and from the
//! exchange on each guard counts as a reference.

#[path = "../src/handle/signal.rs"]
#[allow(dead_code)]
mod signal;
#[path = "../src/handle/stripe.rs"]
#[allow(dead_code)]
mod stripe;

/// Stands in for `src/handle/sync.rs`.
mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicUsize, Ordering};
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    use std::ops::Deref;
    use std::sync::Arc;

    pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

    pub(crate) struct Guard<T>(T);

    impl<T> ArcSwapOption<T> {
        pub(crate) fn empty() -> Self {
            Self(Mutex::new(None))
        }
        pub(crate) fn load(&self) -> Guard<Option<Arc<T>>> {
            Guard(self.load_full())
        }
        pub(crate) fn load_full(&self) -> Option<Arc<T>> {
            self.0.lock().expect("nothing panics under it").clone()
        }
        pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
            std::mem::replace(&mut *self.0.lock().expect("nothing panics under it"), value)
        }
    }

    impl<T> Deref for Guard<T> {
        type Target = T;
        fn deref(&self) -> &T {
            &self.0
        }
    }

    pub(crate) fn thread_index() -> usize {
        shuttle::current::me().into()
    }
}

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::pin;
// What a test notes down must not be a step of the model: plain atomics.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use shuttle::future::block_on;
use shuttle::thread;

use signal::Watch;
use stripe::{Borrow, Claim, Drain, Stripes};

/// A published value: which one it is, and whether its owner was told that it may be stopped.
struct Value {
    number: usize,
    stopped: AtomicBool,
    /// Of all values.
    dropped: Arc<AtomicUsize>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, SeqCst);
    }
}

#[derive(Clone)]
struct Model {
    stripes: Arc<Stripes<Value>>,
    dropped: Arc<AtomicUsize>,
}

impl Model {
    /// Two stripes, and value 1 published.
    fn new() -> Self {
        let model = Self { stripes: Arc::new(Stripes::new(2)), dropped: Arc::default() };
        assert!(model.publish(1).is_none());
        model
    }

    fn publish(&self, number: usize) -> Option<Drain<Value>> {
        self.stripes.publish(Value { number, stopped: AtomicBool::new(false), dropped: self.dropped.clone() })
    }

    fn hold(&self, how: How) -> Held {
        match how {
            How::Lease => Held::Lease(self.stripes.lease()),
            How::Borrow => Held::Borrow(self.stripes.borrow()),
        }
    }

    /// Holds, uses, and gives back; returns which value it was.
    fn call(&self, how: How) -> Option<usize> {
        let held = self.hold(how);
        let value = held.get()?;
        assert!(!value.stopped.load(SeqCst), "given a stopped value");
        thread::yield_now();
        assert!(!value.stopped.load(SeqCst), "stopped during a call");
        Some(value.number)
    }
}

/// The two ways to a value.
#[derive(Clone, Copy)]
enum How {
    Lease,
    Borrow,
}

const BOTH: [How; 2] = [How::Lease, How::Borrow];

enum Held {
    Lease(Option<Claim<Value>>),
    Borrow(Borrow<Value>),
}

impl Held {
    fn get(&self) -> Option<&Value> {
        match self {
            Held::Lease(claim) => claim.as_deref(),
            Held::Borrow(borrow) => borrow.get(),
        }
    }
}

fn stop(drain: &Drain<Value>) {
    block_on(drain.drained());
    assert_eq!(drain.leases(), 0);
    assert!(!drain.value().stopped.swap(true, SeqCst), "retired twice");
}

fn ready_now(future: impl Future<Output = ()>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    pin!(future).poll(&mut cx).is_ready()
}

fn check(property: fn()) {
    shuttle::check_random(property, 2000);
    shuttle::check_pct(property, 2000, 3);
}

#[test]
fn a_published_value_is_the_only_one_leased_from_then_on() {
    check(|| {
        let model = Model::new();
        // The newest value of which a publisher or a caller already knows.
        let known = Arc::new(AtomicUsize::new(1));
        let callers: Vec<_> = [BOTH, [How::Borrow, How::Lease], BOTH]
            .into_iter()
            .map(|ways| {
                let (model, known) = (model.clone(), known.clone());
                thread::spawn(move || {
                    for how in ways {
                        let newest = known.load(SeqCst);
                        let number = model.call(how).expect("never closed");
                        assert!(number >= newest, "leased {number} after {newest}");
                        known.fetch_max(number, SeqCst);
                    }
                })
            })
            .collect();
        for number in 2..=3 {
            let drain = model.publish(number).expect("one was there");
            known.fetch_max(number, SeqCst);
            stop(&drain);
        }
        for caller in callers {
            caller.join().unwrap();
        }
        drop(model.stripes.close());
        assert_eq!(model.dropped.load(SeqCst), 3, "values kept or lost");
    });
}

#[test]
fn a_drain_is_complete_exactly_when_the_last_lease_is_gone() {
    check(|| {
        let model = Model::new();
        let callers: Vec<_> = [How::Borrow, How::Lease, How::Borrow]
            .into_iter()
            .map(|how| {
                let model = model.clone();
                thread::spawn(move || model.call(how))
            })
            .collect();
        let (leased, borrowed) = (model.hold(How::Lease), model.hold(How::Borrow));
        let drain = model.publish(2).unwrap();
        assert!(!ready_now(drain.drained()));
        for caller in callers {
            caller.join().unwrap();
        }
        assert_eq!(drain.leases(), 2);
        drop(leased);
        assert_eq!(drain.leases(), 1);
        assert!(!ready_now(drain.drained()), "complete while something is held");
        drop(borrowed);
        assert!(ready_now(drain.drained()), "not complete though nothing is held");
    });
}

#[test]
fn everyone_who_waits_for_a_drain_is_woken() {
    check(|| {
        let model = Model::new();
        let holders: Vec<_> = BOTH
            .map(|how| {
                let model = model.clone();
                thread::spawn(move || model.hold(how))
            })
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        let drain = Arc::new(model.publish(2).unwrap());
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let drain = drain.clone();
                thread::spawn(move || block_on(drain.drained()))
            })
            .collect();
        for held in holders {
            thread::spawn(move || drop(held));
        }
        for thread in waiting {
            thread.join().unwrap();
        }
    });
}

#[test]
fn publishers_and_a_closer_retire_each_value_once() {
    check(|| {
        let model = Model::new();
        let retired = Arc::new(Mutex::new(Vec::new()));
        let retire = |change: fn(&Model, usize) -> Option<Drain<Value>>, number| {
            let (model, retired) = (model.clone(), retired.clone());
            thread::spawn(move || {
                if let Some(drain) = change(&model, number) {
                    retired.lock().unwrap().push(drain.value().number);
                    stop(&drain);
                }
            })
        };
        let threads =
            [retire(Model::publish, 2), retire(|model, _| model.stripes.close(), 0), retire(Model::publish, 3)];
        for how in BOTH {
            let seen = model.call(how);
            assert!(seen.is_none_or(|number| number <= 3));
        }
        for thread in threads {
            thread.join().unwrap();
        }
        let mut retired = retired.lock().unwrap();
        if let Some(last) = model.stripes.close() {
            retired.push(last.value().number);
            stop(&last);
        }
        retired.sort_unstable();
        assert_eq!(*retired, [1, 2, 3]);
        assert!(BOTH.iter().all(|how| model.hold(*how).get().is_none()));
        assert!(model.stripes.close().is_none());
        assert_eq!(model.dropped.load(SeqCst), 3);
    });
}

#[test]
fn no_lease_is_given_once_closed() {
    check(|| {
        let model = Model::new();
        let closed = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = [BOTH, [How::Borrow, How::Lease]]
            .into_iter()
            .map(|ways| {
                let (model, closed) = (model.clone(), closed.clone());
                thread::spawn(move || {
                    for how in ways {
                        let was_closed = closed.load(SeqCst);
                        match model.call(how) {
                            Some(_) => assert!(!was_closed, "called after the close"),
                            None => closed.store(true, SeqCst),
                        }
                    }
                })
            })
            .collect();
        let drain = model.stripes.close().unwrap();
        closed.store(true, SeqCst);
        stop(&drain);
        for caller in callers {
            caller.join().unwrap();
        }
    });
}

#[test]
fn cancel_ends_every_waiting_call_and_counts_them() {
    check(|| {
        let model = Model::new();
        let waiting = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (model, waiting) = (model.clone(), waiting.clone());
                thread::spawn(move || {
                    let claim = model.stripes.lease().unwrap();
                    if claim.number == 2 {
                        return;
                    }
                    let mut cancelled = Watch::new(claim);
                    let mut first = true;
                    block_on(poll_fn(|cx| {
                        let poll = cancelled.poll(cx.waker());
                        if poll.is_pending() && mem::take(&mut first) {
                            waiting.fetch_add(1, SeqCst);
                        }
                        poll
                    }));
                })
            })
            .collect();
        // Gives up before it is cancelled, or after: must neither be counted twice nor block.
        let claim = model.stripes.lease().unwrap();
        let fickle = thread::spawn(move || {
            let mut cancelled = Watch::new(claim);
            let _: Poll<()> = cancelled.poll(Waker::noop());
        });
        let drain = model.publish(2).unwrap();
        let before = waiting.load(SeqCst);
        let counted = drain.cancel();
        assert!(counted >= before, "{before} waited, {counted} counted");
        assert!(counted <= 4, "{counted} counted of 4");
        stop(&drain);
        assert_eq!(drain.cancel(), 0);
        for thread in callers {
            thread.join().unwrap();
        }
        fickle.join().unwrap();
    });
}

#[test]
fn what_moves_to_another_place_takes_its_leases_along() {
    check(|| {
        // Value 2 is tried in a place of its own while value 1 is still called.
        let model = Model::new();
        let staged = Arc::new(Stripes::new(2));
        let value = |number| Value { number, stopped: AtomicBool::new(false), dropped: model.dropped.clone() };
        assert!(staged.publish(value(2)).is_none());
        let place = Model { stripes: staged.clone(), dropped: model.dropped.clone() };
        let trying = BOTH.map(|how| {
            let place = place.clone();
            thread::spawn(move || place.call(how))
        });
        drop(place);
        let calling = BOTH.map(|how| {
            let model = model.clone();
            thread::spawn(move || model.call(how))
        });
        let old = model.stripes.publish_from(&staged).unwrap();
        drop(staged.close());
        stop(&old);
        let new = model.stripes.close().unwrap();
        assert_eq!(new.value().number, 2);
        stop(&new);
        drop((old, new));
        for thread in trying {
            assert!(matches!(thread.join().unwrap(), None | Some(2)));
        }
        for thread in calling {
            assert!(matches!(thread.join().unwrap(), None | Some(1 | 2)));
        }
        drop(model);
    });
}
