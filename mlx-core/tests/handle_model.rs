//! The lease, borrow, fill, publish, merge, drain and cancel steps under a model checker.
//!
//! The sources of the algorithm are compiled here a second time, over shuttle's mutex and atomics,
//! so that shuttle decides at each of their steps which thread goes on. Each property is tried
//! under thousands of schedules, random ones and ones with few, well-placed preemptions (PCT). A
//! wake-up that is lost shows as a deadlock, which shuttle reports.
//!
//! Of arc-swap, which has tests of its own, its promise stands in: loading and exchanging are single steps, and from the
//! exchange on each guard counts as a reference. Setting a `OnceLock` is no step either.

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

    impl<T> Guard<T> {
        pub(crate) fn from_inner(inner: T) -> Self {
            Self(inner)
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
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use shuttle::future::block_on;
use shuttle::thread;

use signal::Watch;
use stripe::{Borrow, Borrower, Claim, Drain, Stripes};

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

/// The number of a value, found under one of its contracts.
struct Contract<const N: usize>(usize);

/// A slot.
struct Place {
    stripes: Stripes<Value>,
    merged: OnceLock<Arc<Place>>,
}

impl Place {
    fn new() -> Arc<Self> {
        Arc::new(Self { stripes: Stripes::new(2), merged: OnceLock::new() })
    }

    /// As `Slot` does it, from here on.
    fn find<R>(&self, find: impl Fn(&Stripes<Value>) -> Option<R>) -> Option<R> {
        let merged = || self.merged.get().map(|place| &place.stripes);
        find(merged().unwrap_or(&self.stripes)).or_else(|| find(merged()?))
    }

    fn merge_into(&self, target: &Arc<Self>) -> Option<Drain<Value>> {
        let drain = target.stripes.publish_from(&self.stripes);
        assert!(self.merged.set(target.clone()).is_ok());
        drop(self.stripes.close());
        drain
    }
}

/// A place with two handles to it, that threads either share or each have their own of, as `clone` and `handles` make.
struct Model {
    place: Arc<Place>,
    one: Borrower<Value, Contract<1>>,
    two: Borrower<Value, Contract<2>>,
    dropped: Arc<AtomicUsize>,
}

impl Clone for Model {
    fn clone(&self) -> Self {
        let (one, two) = (self.one.clone(), self.two.clone());
        Self { place: self.place.clone(), one, two, dropped: self.dropped.clone() }
    }
}

impl Model {
    /// Two stripes, and value 1 published.
    fn new() -> Self {
        let model = Self::to(Place::new(), Arc::default());
        assert!(model.publish(1).is_none());
        model
    }

    fn to(place: Arc<Place>, dropped: Arc<AtomicUsize>) -> Self {
        Self { place, one: Borrower::new(), two: Borrower::new(), dropped }
    }

    /// Handles of their own to the same place.
    fn handles(&self) -> Self {
        Self::to(self.place.clone(), self.dropped.clone())
    }

    /// Has handles that have called.
    fn warm(self) -> Self {
        for how in [How::Borrow, How::BorrowOther] {
            assert!(self.call(how).is_some());
        }
        self
    }

    fn publish(&self, number: usize) -> Option<Drain<Value>> {
        let dropped = self.dropped.clone();
        self.place.stripes.publish(Value { number, stopped: AtomicBool::new(false), dropped })
    }

    fn close(&self) -> Option<Drain<Value>> {
        self.place.stripes.close()
    }

    fn hold(&self, how: How) -> Held {
        let place = &self.place;
        match how {
            How::Lease => Held::Lease(place.find(Stripes::lease)),
            How::Peek => Held::Lease(place.find(Stripes::peek)),
            How::Borrow => Held::One(self.one.borrow(|cache| place.find(|s| s.fill(cache, |v| Contract(v.number))))),
            How::BorrowOther => {
                Held::Two(self.two.borrow(|cache| place.find(|s| s.fill(cache, |v| Contract(v.number)))))
            }
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

/// The ways to a value: two contracts can be borrowed.
#[derive(Clone, Copy)]
enum How {
    Lease,
    Peek,
    Borrow,
    BorrowOther,
}

const BOTH: [How; 2] = [How::Lease, How::Borrow];

enum Held {
    Lease(Option<Claim<Value>>),
    One(Borrow<Value, Contract<1>>),
    Two(Borrow<Value, Contract<2>>),
}

impl Held {
    fn get(&self) -> Option<&Value> {
        let (value, found) = match self {
            Held::Lease(claim) => return claim.as_deref(),
            Held::One(borrow) => borrow.get().map(|(value, found)| (value, found.0))?,
            Held::Two(borrow) => borrow.get().map(|(value, found)| (value, found.0))?,
        };
        assert_eq!(found, value.number, "a contract of another value");
        Some(value)
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
        let callers: Vec<_> = [BOTH, [How::Borrow, How::BorrowOther], [How::BorrowOther, How::Peek]]
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
        drop(model.close());
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
        let threads = [retire(Model::publish, 2), retire(|model, _| model.close(), 0), retire(Model::publish, 3)];
        for how in BOTH {
            let seen = model.call(how);
            assert!(seen.is_none_or(|number| number <= 3));
        }
        for thread in threads {
            thread.join().unwrap();
        }
        let mut retired = retired.lock().unwrap();
        if let Some(last) = model.close() {
            retired.push(last.value().number);
            stop(&last);
        }
        retired.sort_unstable();
        assert_eq!(*retired, [1, 2, 3]);
        assert!(BOTH.iter().all(|how| model.hold(*how).get().is_none()));
        assert!(model.close().is_none());
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
        let drain = model.close().unwrap();
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
                    let claim = model.place.stripes.lease().unwrap();
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
        let claim = model.place.stripes.lease().unwrap();
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
fn no_caller_goes_from_one_value_back_to_the_one_before() {
    // As above, by handles that have their caches, by ones that make them meanwhile, and by handles of single threads.
    for warm in [false, true] {
        let property = move || {
            let model = if warm { Model::new().warm() } else { Model::new() };
            let known = Arc::new(AtomicUsize::new(1));
            let callers: Vec<_> = [model.clone(), model.handles(), model.clone()]
                .into_iter()
                .zip([
                    [How::Borrow, How::BorrowOther, How::Lease],
                    [How::BorrowOther, How::Borrow, How::BorrowOther],
                    [How::Peek, How::BorrowOther, How::Borrow],
                ])
                .map(|(model, ways)| {
                    let known = known.clone();
                    thread::spawn(move || {
                        for how in ways {
                            let newest = known.load(SeqCst);
                            let number = model.call(how).expect("never closed");
                            assert!(number >= newest, "borrowed {number} after {newest}");
                            known.fetch_max(number, SeqCst);
                        }
                    })
                })
                .collect();
            for number in 2..=3 {
                let drain = model.publish(number).unwrap();
                known.fetch_max(number, SeqCst);
                stop(&drain);
                assert_eq!(drain.leases(), 0, "a cache was left filled");
            }
            for caller in callers {
                caller.join().unwrap();
            }
            drop(model.close());
            assert_eq!(model.dropped.load(SeqCst), 3, "values kept or lost");
        };
        shuttle::check_random(property, 1000);
        shuttle::check_pct(property, 1000, 3);
    }
}

#[test]
fn threads_may_share_a_handle_that_none_has_called_through() {
    check(|| {
        let model = Arc::new(Model::new());
        let callers: Vec<_> = [How::Borrow, How::Borrow, How::Borrow]
            .into_iter()
            .map(|how| {
                let model = model.clone();
                thread::spawn(move || model.call(how))
            })
            .collect();
        let drain = model.publish(2).unwrap();
        stop(&drain);
        assert_eq!(model.call(How::Borrow), Some(2));
        for caller in callers {
            assert!(matches!(caller.join().unwrap(), Some(1 | 2)));
        }
        stop(&model.close().unwrap());
        assert!(model.call(How::Borrow).is_none());
    });
}

#[test]
fn what_moves_to_another_place_takes_its_leases_along() {
    for warm in [false, true] {
        let property = move || {
            // Value 2 is tried in a place of its own while value 1 is still called.
            let model = Model::new();
            let trial = Model::to(Place::new(), model.dropped.clone());
            assert!(trial.publish(2).is_none());
            let (model, trial) = if warm { (model.warm(), trial.warm()) } else { (model, trial) };
            let ways = [[How::Lease, How::BorrowOther], [How::Borrow, How::Borrow]];
            let call_twice = |model: &Model, least| {
                ways.map(|ways| {
                    let model = model.clone();
                    thread::spawn(move || {
                        let numbers = ways.map(|how| model.call(how).expect("never closed"));
                        assert!(least <= numbers[0] && numbers[0] <= numbers[1], "{numbers:?}");
                    })
                })
            };
            let (trying, calling) = (call_twice(&trial, 2), call_twice(&model, 1));
            let old = trial.place.merge_into(&model.place).unwrap();
            assert_eq!(old.value().number, 1);
            stop(&old);
            // What follows is followed by the handles to either.
            let drain = model.publish(3).unwrap();
            assert_eq!(drain.value().number, 2);
            for how in [How::Borrow, How::Lease, How::BorrowOther, How::Peek] {
                assert_eq!(trial.call(how), Some(3));
                assert_eq!(model.call(how), Some(3));
            }
            stop(&drain);
            for thread in trying.into_iter().chain(calling) {
                thread.join().unwrap();
            }
            stop(&model.close().unwrap());
            assert!(trial.call(How::Borrow).is_none());
            drop((old, drain));
            assert_eq!(model.dropped.load(SeqCst), 3, "values kept or lost");
        };
        shuttle::check_random(property, 1000);
        shuttle::check_pct(property, 1000, 3);
    }
}
